/* Shapes that look like those in safe.c and loops.c and are wrong by a little:
 * an access one too far, a test of the wrong thing, a loop that need not end. Each
 * must be refused. */
#include "shapes.h"

const __u8 table[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

XDP(status)
{
	PACKET;
	__u32 x = prandom();
	__u8 *q = p + (x & 255);
	__s32 err = (q + 3 > end) ? -22 : 0;
	KEEP(err);
	__u32 r = 0;
	if (err) {
		if (err < 0)
			return 1;
	} else
		r = *(__u32 *)q;
	return r;
}

XDP(status2)
{
	PACKET;
	__u32 x = prandom();
	__u8 *q = p + (x & 255);
	__s32 err = (q + 4 > end) ? -22 : 0;
	KEEP(err);
	__u32 r = 0;
	if (err) {
		r = *(__u32 *)q;
	}
	return r;
}

XDP(ptrstatus)
{
	__u64 k = 1;
	__u64 *q = map_lookup(&words, &k);
	__s32 st = -1;
	if (q)
		st = 0;
	KEEP(st);
	if (st >= 0)
		return 0;
	return *q;
}

XDP(flagtwice)
{
	__u64 k = 1;
	__u32 f = prandom();
	__u64 *q = 0;
	if (f & 4) {
		q = map_lookup(&words, &k);
		if (!q)
			return 0;
	}
	KEEP(f);
	__u32 r = f * 3;
	if (f & 8)
		return *q;
	return r;
}

XDP(flagtwice2)
{
	__u64 k = 1;
	__u32 f = prandom();
	__u64 *q = 0;
	if (f & 4) {
		q = map_lookup(&words, &k);
		if (!q)
			return 0;
	}
	KEEP(f);
	__u32 r = f * 3;
	f = prandom();
	if (f & 4)
		return *q;
	return r;
}

XDP(recompute)
{
	PACKET;
	__u64 o = prandom() & 255;
	if (p + o + 4 > end)
		return 0;
	KEEP(p);
	__u8 *q = p + o;
	return *(__u32 *)(q + 1);
}

XDP(inthen)
{
	VALUE;
	__u64 i = prandom(), n = prandom();
	KEEP(i);
	KEEP(n);
	if (i > n)
		return 0;
	if (n > 64)
		return 0;
	return v[i];
}

XDP(inthen2)
{
	VALUE;
	__u64 i = prandom(), n = prandom();
	KEEP(i);
	KEEP(n);
	if (n > 60)
		return 0;
	if ((__u32)i >= (__u32)n)
		return 0;
	asm volatile("%0 <<= 3; %0 += %1" : "+r"(i) : "r"(n));
	return v[i];
}

XDP(ntohs)
{
	PACKET;
	if (p + 2 > end)
		return 0;
	__u16 l = __builtin_bswap16(*(__u16 *)p);
	__u8 *q = p + l;
	if (q > end)
		return 0;
	return *q;
}

XDP(shift)
{
	VALUE;
	__u32 x = prandom(), y = prandom() & 127;
	return v[1u << (x & 7)] + v[y >> (x & 3)];
}

XDP(divmod)
{
	VALUE;
	__u32 x = prandom();
	return v[x % 65];
}

XDP(divmod2)
{
	VALUE;
	__u32 x = prandom();
	return v[(x & 255) / 3];
}

XDP(memzone)
{
	__u64 buf[8] = {};
	KEEP(ctx);
	__u32 off = prandom() & 63, len = prandom() & 63;
	off &= ~3;
	len &= ~3;
	if (off + len > 68)
		return 0;
	return csum_diff(0, 0, (__u8 *)buf + off, len, 0);
}

XDP(ptrwalk)
{
	VALUE;
	__u32 s = 0;
	for (__u8 *q = v; q <= v + 64; q++)
		s += *q;
	return s;
}

XDP(ptrdiff)
{
	VALUE;
	__u64 x = prandom() & 31;
	__u8 *q = v + x;
	return v[q - v + 33];
}

XDP(rodata)
{
	__u32 x = prandom() & 31;
	return table[x];
}

XDP(vlankey)
{
	VALUE;
	__u32 k2 = prandom();
	if (k2 > 16)
		return 0;
	__u8 *w = map_lookup(&bytes, &k2);
	return *w;
}

XDP(swtch)
{
	VALUE;
	__u32 x = prandom();
	__u32 o;
	switch (x & 7) {
	case 0:
		o = 3;
		break;
	case 1:
		o = 9;
		break;
	case 2:
		o = 64;
		break;
	case 5:
		o = 1;
		break;
	default:
		o = 12;
	}
	return v[o];
}

XDP(bigsum)
{
	PACKET;
	__u64 a = prandom(), b = prandom();
	a <<= 30;
	b <<= 34;
	__u8 *q = p + a;
	q += b;
	if (q + 4 > end)
		return 0;
	return *(__u32 *)q;
}

static long body(__u32 i, void *c)
{
	__u8 *v = *(__u8 **)c;
	if (i <= 64)
		v[i]++;
	return 0;
}

XDP(bpfloop)
{
	VALUE;
	__u8 *c = v;
	loop(65, body, &c, 0);
	return v[0];
}

static long body2(__u32 i, void *c)
{
	__u8 *v = *(__u8 **)c;
	v[i]++;
	return 0;
}

XDP(bpfloop2)
{
	VALUE;
	__u8 *c = v;
	loop(65, body2, &c, 0);
	return v[0];
}

static long body3(__u32 i, void *c)
{
	*(__u8 **)c = 0;
	return 0;
}

XDP(bpfloop3)
{
	VALUE;
	__u8 *c = v;
	loop(2, body3, &c, 0);
	return *c;
}

static long body4(__u32 i, void *c)
{
	*(__u32 *)c += 1;
	return 0;
}

XDP(bpfloop4)
{
	VALUE;
	__u32 c = 0;
	loop(65, body4, &c, 0);
	return v[c];
}

__noinline static __u32 sub(__u8 *v, __u32 i)
{
	if (i > 64)
		return 0;
	return v[i];
}

XDP(subprog)
{
	VALUE;
	return sub(v, prandom()) + sub(v, 5);
}

__noinline static __u32 sub2(__u64 *v, __u32 i)
{
	*v = 100;
	return i;
}

XDP(subprog2)
{
	VALUE;
	__u64 i = 3;
	__u32 r = sub2(&i, 5);
	return v[i];
}

__noinline __u32 glob(__u32 x)
{
	return x & 127;
}

XDP(global)
{
	VALUE;
	return v[glob(prandom())];
}

XDP(matrix)
{
	VALUE;
	__u32 s = 0;
	for (__u32 i = 0; i < 8; i++)
		for (__u32 j = 0; j <= 8; j++)
			s += v[i * 8 + j];
	return s;
}

XDP(reverse)
{
	VALUE;
	for (__u32 i = 0, j = 64; i < j; i++, j--) {
		__u8 t = v[i];
		v[i] = v[j];
		v[j] = t;
	}
	return v[0];
}

XDP(insertion)
{
	VALUE;
	for (int i = 1; i < 64; i++) {
		__u8 x = v[i];
		int j = i - 1;
		while (v[j] > x) {
			v[j + 1] = v[j];
			j--;
		}
		v[j + 1] = x;
	}
	return v[0];
}

XDP(ipopts)
{
	PACKET;
	if (p + 34 > end)
		return 0;
	__u32 ihl = (p[14] & 15) * 4;
	__u8 *l4 = p + 14 + ihl;
	if (l4 + 3 > end)
		return 0;
	return *(__u16 *)(l4 + 2);
}

XDP(tlv)
{
	PACKET;
	__u8 *q = p;
	__u32 n = 0;
	while (q + 1 <= end) {
		__u8 l = q[1];
		q += 2 + l;
		n++;
	}
	return n;
}

XDP(endless_tlv)
{
	PACKET;
	__u8 *q = p;
	__u32 n = 0;
	while (q + 2 <= end) {
		__u8 l = q[1];
		q += l;
		n++;
	}
	return n;
}

XDP(strlen_)
{
	PACKET;
	__u32 n = 0;
	while (p + n <= end && p[n])
		n++;
	return n;
}

XDP(crc)
{
	PACKET;
	__u32 c = ~0u;
	for (__u8 *q = p; q <= end; q++) {
		c ^= *q;
		for (int k = 0; k < 8; k++)
			c = c & 1 ? (c >> 1) ^ 0xedb88320 : c >> 1;
	}
	return c;
}

XDP(collatz)
{
	__u64 x = prandom();
	__u32 n = 0;
	while (x > 1) {
		x = (x & 1) ? 3 * x + 1 : x / 2;
		n++;
	}
	return n;
}

XDP(osc)
{
	__u32 x = prandom() & 1;
	__u32 i = 0;
	while (i < 10) {
		if (x)
			i++;
		else
			i--;
		x ^= 1;
	}
	return i;
}

XDP(stale)
{
	PACKET;
	if (p + 14 > end)
		return 0;
	__u64 k = 1;
	asm volatile("r1 = %0; r2 = 4; call 44" ::"r"(ctx) : "r0", "r1", "r2", "r3", "r4", "r5");
	return p[3];
}

XDP(sievebig)
{
	VALUE;
	for (__u32 i = 2; i < 65; i++) {
		if (v[i])
			continue;
		for (__u32 j = i + i; j < 64; j += i)
			v[j] = 1;
	}
	return 0;
}

XDP(sieve2)
{
	VALUE;
	for (__u32 i = 2; i < 64; i++) {
		if (v[i])
			continue;
		for (__u32 j = i + i; j < 64 + i; j += i)
			v[j] = 1;
	}
	return 0;
}

XDP(bsearch)
{
	VALUE;
	__u32 lo = 0, hi = 65, x = prandom() & 255;
	while (lo < hi) {
		__u32 m = (lo + hi) / 2;
		if (v[m] < x)
			lo = m + 1;
		else
			hi = m;
	}
	return lo;
}

XDP(bsearchinf)
{
	VALUE;
	__u32 lo = 0, hi = 64, x = prandom() & 255;
	while (lo < hi) {
		__u32 m = (lo + hi) / 2;
		if (v[m] < x)
			lo = m;
		else
			hi = m;
	}
	return lo;
}

XDP(endless)
{
	volatile __u32 x = 0;
	while (1) {
		x++;
	}
	return 0;
}

XDP(endless_random)
{
	__u32 x = 0;
	while (prandom() != 5) {
		x++;
	}
	return x;
}

char _license[] SEC("license") = "GPL";

/* Loops that end, each with a bound that the verifier must find. */
#include "shapes.h"

#define BIG                                                                                        \
	__u32 zero = 0;                                                                            \
	__u8 *v = map_lookup(&big, &zero);                                                         \
	if (!v)                                                                                    \
	return 0

struct {
	__uint(type, MAP_ARRAY);
	__type(key, __u32);
	__type(value, __u8[8192]);
	__uint(max_entries, 1);
} big SEC(".maps");

XDP(fnv)
{
	PACKET;
	__u32 h = 2166136261;
	while (p < end) {
		h = (h ^ *p++) * 16777619;
	}
	return h;
}

XDP(fnv_i)
{
	PACKET;
	__u32 h = 2166136261;
	for (int i = 0; i < 1500 && p + i + 1 <= end; i++) {
		h = (h ^ p[i]) * 16777619;
	}
	return h;
}

XDP(len)
{
	PACKET;
	__u64 n = end - p;
	if (n < 14)
		return 0;
	return p[13];
}

XDP(ne)
{
	PACKET;
	if (p != end)
		return *p;
	return 0;
}

XDP(jhash)
{
	PACKET;
	__u32 h = 1;
	while (p + 12 <= end) {
		h += *(__u32 *)p;
		h ^= *(__u32 *)(p + 4) << 3;
		h += *(__u32 *)(p + 8);
		p += 12;
	}
	while (p < end)
		h += *p++;
	return h;
}

XDP(mod)
{
	PACKET;
	__u32 x = prandom();
	__u8 a[16];
	__builtin_memset(a, 1, 16);
	asm volatile("" ::"r"(a) : "memory");
	return a[x % 10] + a[(x & 255) / 20];
}

XDP(sieve)
{
	BIG;
	__u32 c = 0;
	for (__u32 i = 2; i < 8192; i++) {
		if (v[i])
			continue;
		c++;
		for (__u32 j = i + i; j < 8192; j += i)
			v[j] = 1;
	}
	return c;
}

XDP(sum)
{
	BIG;
	__u32 s = 0;
	for (int i = 0; i < 64; i++)
		s += v[i];
	return s;
}

XDP(bubble)
{
	BIG;
	for (int i = 0; i < 64; i++)
		for (int j = 0; j + 1 < 64 - i; j++)
			if (v[j] > v[j + 1]) {
				__u8 t = v[j];
				v[j] = v[j + 1];
				v[j + 1] = t;
			}
	return v[0];
}

XDP(popc)
{
	__u64 x = prandom();
	x = x * 0x9E3779B97F4A7C15ull;
	int n = 0;
	while (x) {
		x &= x - 1;
		n++;
	}
	return n;
}

XDP(gcd)
{
	__u32 a = prandom(), b = prandom();
	while (b) {
		__u32 t = a % b;
		a = b;
		b = t;
	}
	return a;
}

XDP(bits)
{
	__u32 x = prandom();
	int n = 0;
	while (x) {
		n += x & 1;
		x >>= 1;
	}
	return n;
}

XDP(nloop)
{
	__u32 n = prandom();
	__u32 s = 0;
	for (__u32 i = 0; i < n; i++)
		s += i ^ n;
	return s;
}

XDP(bsearch)
{
	BIG;
	__u32 lo = 0, hi = 8192, x = prandom() & 255;
	while (lo < hi) {
		__u32 m = (lo + hi) / 2;
		if (v[m] < x)
			lo = m + 1;
		else
			hi = m;
	}
	return lo;
}

XDP(opts)
{
	PACKET;
	__u8 *q = p + 20;
	if (q > end)
		return 0;
	for (int i = 0; i < 16; i++) {
		if (q + 2 > end)
			return 1;
		__u8 t = q[0];
		if (t == 0)
			break;
		__u8 l = q[1];
		if (l < 2)
			return 2;
		q += l;
	}
	return 3;
}

XDP(vlan)
{
	PACKET;
	__u64 off = 14;
	if (p + 14 > end)
		return 0;
	__u16 proto = *(__u16 *)(p + 12);
	for (int i = 0; i < 4; i++) {
		if (proto != 0x81)
			break;
		if (p + off + 4 > end)
			return 0;
		proto = *(__u16 *)(p + off + 2);
		off += 4;
	}
	if (p + off + 20 > end)
		return 0;
	return p[off + 9];
}

XDP(zone)
{
	__u64 off = prandom() & 127, l = prandom() & 127;
	__u8 buf[64];
	__builtin_memset(buf, 0, 64);
	asm volatile("" ::"r"(buf) : "memory");
	if (off + l > 64)
		return 0;
	if (off >= 64)
		return 0;
	return buf[off];
}

XDP(ptrloop)
{
	__u8 buf[64];
	__builtin_memset(buf, 3, 64);
	asm volatile("" ::"r"(buf) : "memory");
	__u32 s = 0;
	for (__u8 *q = buf; q < buf + 64; q++)
		s += *q;
	return s;
}

char _license[] SEC("license") = "GPL";

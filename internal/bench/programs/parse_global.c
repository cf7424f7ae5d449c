/* As parse, with a global function per frame, which the kernel's verifier takes
 * by itself. Headers of 16 frames, four times: Ethernet with up to two VLAN tags, IPv4 with options,
 * IPv6 with extension headers, TCP, UDP, ICMP, others. */
#include "bench.h"

enum { SLOT = 88, SLOTS = 16, PASSES = 4 };

struct flow {
	u32 src, dst, ports, kind;
};

/* Parses the frame at p into f; 0 if it is not one of those above. */
inline_ u32 frame(const u8 *p, const u8 *end, struct flow *f)
{
	u16 type;
	u8 proto;

	NEED(p, 14);
	type = U16(p + 12);
	p += 14;
#pragma clang loop unroll(full)
	for (int i = 0; i < 2; i++) {
		if (type != be16(0x8100) && type != be16(0x88a8))
			break;
		NEED(p, 4);
		type = U16(p + 2);
		p += 4;
	}
	if (type == be16(0x0800)) {
		u32 ihl;

		NEED(p, 20);
		ihl = (p[0] & 15) * 4;
		if (p[0] >> 4 != 4 || ihl < 20)
			return 0;
		if (U16(p + 6) & be16(0x1fff))
			return 2; /* a later fragment */
		proto = p[9];
		f->src = U32(p + 12);
		f->dst = U32(p + 16);
		p += ihl;
	} else if (type == be16(0x86dd)) {
		NEED(p, 40);
		if (p[0] >> 4 != 6)
			return 0;
		proto = p[6];
		f->src = U32(p + 8) ^ U32(p + 12) ^ U32(p + 16) ^ U32(p + 20);
		f->dst = U32(p + 24) ^ U32(p + 28) ^ U32(p + 32) ^ U32(p + 36);
		p += 40;
#pragma clang loop unroll(full)
		for (int i = 0; i < 3; i++) {
			if (proto != 0 && proto != 43 && proto != 60)
				break;
			NEED(p, 8);
			proto = p[0];
			p += (p[1] & 7) * 8 + 8;
		}
	} else {
		return 3;
	}
	switch (proto) {
	case 6:
		NEED(p, 20);
		f->ports = U32(p);
		f->kind = p[13] & 2 ? 10 : 11;
		break;
	case 17:
		NEED(p, 8);
		f->ports = U32(p);
		f->kind = 12;
		break;
	case 1:
	case 58:
		NEED(p, 4);
		f->ports = p[0] << 8 | p[1];
		f->kind = 13;
		break;
	default:
		return 4;
	}
	return 1;
}

__attribute__((noinline, visibility("default"))) u32 parse_frame(struct xdp_md *ctx, u32 off)
{
	const u8 *data = DATA(ctx), *end = END(ctx);
	struct flow f = {};
	u32 r = frame(data + (off & 0x7ff), end, &f);

	return r ^ f.src ^ (f.dst + f.ports) ^ f.kind << 24;
}

PROGRAM(parse_global)
{
	u32 h = 0;

	rolled for (u32 i = 0; i < PASSES * SLOTS; i++)
		h = rol32(h, 5) ^ parse_frame(ctx, (i & SLOTS - 1) * SLOT);
	return h;
}

package path

import (
	"testing"

	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// TestCheck asks about paths that Linux 6.18 refused, in the words of its log.
func TestCheck(t *testing.T) {
	if err := Available(); err != nil {
		t.Skipf("no solver: %v (z3 in PATH)", err)
	}
	array := &maps.Spec{Name: "array", Type: maps.Array, KeySize: 4, ValueSize: 64, MaxEntries: 8}
	const packet = `
		r2 = *(u32 *)(r1 +0)
		r3 = *(u32 *)(r1 +4)
		`
	const packetLog = `
0: R1=ctx() R10=fp0
0: (61) r2 = *(u32 *)(r1 +0)          ; R1=ctx() R2=pkt(r=0)
1: (61) r3 = *(u32 *)(r1 +4)          ; R1=ctx() R3=pkt_end()
`
	for _, tc := range []struct {
		name, typ, asm, log string
		want                Verdict
	}{
		{"length as a number", "xdp", packet + `
			r3 -= r2
			if r3 < 14 goto out
			r0 = *(u8 *)(r2 +13)
			exit
			out: r0 = 0
			exit`, packetLog + `
2: (1f) r3 -= r2                      ; R2=pkt(r=0) R3=scalar()
3: (a5) if r3 < 0xe goto pc+2         ; R3=scalar(umin=14)
4: (71) r0 = *(u8 *)(r2 +13)
invalid access to packet, off=13 size=1, R2(id=0,off=13,r=0)
R2 offset is outside of the packet
`, Impossible},
		{"length as a number, one short", "xdp", packet + `
			r3 -= r2
			if r3 < 13 goto out
			r0 = *(u8 *)(r2 +13)
			exit
			out: r0 = 0
			exit`, packetLog + `
2: (1f) r3 -= r2                      ; R2=pkt(r=0) R3=scalar()
3: (a5) if r3 < 0xd goto pc+2         ; R3=scalar(umin=13)
4: (71) r0 = *(u8 *)(r2 +13)
invalid access to packet, off=13 size=1, R2(id=0,off=13,r=0)
R2 offset is outside of the packet
`, Possible},
		{"remainder", "xdp", `
			call 7
			w0 %= 57
			r1 = r10
			r1 += -56
			r1 += r0
			*(u8 *)(r1 +0) = 0
			r0 = 0
			exit`, `
0: R1=ctx() R10=fp0
0: (85) call bpf_get_prandom_u32#7    ; R0=scalar()
1: (94) w0 %= 57                      ; R0=scalar()
2: (bf) r1 = r10                      ; R1=fp0 R10=fp0
3: (07) r1 += -56                     ; R1=fp-56
4: (0f) r1 += r0
math between fp pointer and register with unbounded min value is not allowed
`, Impossible},
		{"a key in range", "xdp", `
			r1 = 7
			*(u32 *)(r10 -4) = r1
			r2 = r10
			r2 += -4
			r1 = map[0]
			call 1
			r0 = *(u8 *)(r0 +0)
			exit`, `
0: R1=ctx() R10=fp0
0: (b7) r1 = 7                        ; R1=7
1: (63) *(u32 *)(r10 -4) = r1         ; R1=7 R10=fp0 fp-8=mmmm????
2: (bf) r2 = r10                      ; R2=fp0 R10=fp0
3: (07) r2 += -4                      ; R2=fp-4
4: (18) r1 = 0xffff888100000000       ; R1=map_ptr(ks=4,vs=64)
6: (85) call bpf_map_lookup_elem#1    ; R0=map_value_or_null(id=1,ks=4,vs=64)
7: (71) r0 = *(u8 *)(r0 +0)
R0 invalid mem access 'map_value_or_null'
`, Impossible},
		{"a key out of range", "xdp", `
			r1 = 8
			*(u32 *)(r10 -4) = r1
			r2 = r10
			r2 += -4
			r1 = map[0]
			call 1
			r0 = *(u8 *)(r0 +0)
			exit`, `
0: R1=ctx() R10=fp0
0: (b7) r1 = 8                        ; R1=8
1: (63) *(u32 *)(r10 -4) = r1         ; R1=8 R10=fp0 fp-8=mmmm????
2: (bf) r2 = r10                      ; R2=fp0 R10=fp0
3: (07) r2 += -4                      ; R2=fp-4
4: (18) r1 = 0xffff888100000000       ; R1=map_ptr(ks=4,vs=64)
6: (85) call bpf_map_lookup_elem#1    ; R0=map_value_or_null(id=1,ks=4,vs=64)
7: (71) r0 = *(u8 *)(r0 +0)
R0 invalid mem access 'map_value_or_null'
`, Possible},
		{"a register compared with itself", "xdp", `
			call 7
			if r0 != r0 goto bad
			r0 = 0
			exit
			bad: r0 = r3
			exit`, `
0: R1=ctx() R10=fp0
0: (85) call bpf_get_prandom_u32#7    ; R0=scalar()
1: (5d) if r0 != r0 goto pc+2         ; R0=scalar()
4: (bf) r0 = r3
R3 !read_ok
`, Impossible},
		{"a size that may be 0", "sched_cls", `
			r6 = r1
			call 7
			w0 &= 7
			r1 = r6
			w2 = 0
			r3 = r10
			r3 += -8
			r4 = r0
			call 26
			r0 = 0
			exit`, `
0: R1=ctx() R10=fp0
0: (bf) r6 = r1                       ; R1=ctx() R6=ctx()
1: (85) call bpf_get_prandom_u32#7    ; R0=scalar()
2: (54) w0 &= 7                       ; R0=scalar(smin=smin32=0,smax=umax=smax32=umax32=7,var_off=(0x0; 0x7))
3: (bf) r1 = r6                       ; R1=ctx() R6=ctx()
4: (b4) w2 = 0                        ; R2=0
5: (bf) r3 = r10                      ; R3=fp0 R10=fp0
6: (07) r3 += -8                      ; R3=fp-8
7: (bf) r4 = r0                       ; R4=scalar(id=1)
8: (85) call bpf_skb_load_bytes#26
R4 invalid zero-sized read: u64=[0,7]
`, Possible},
	} {
		t.Run(tc.name, func(t *testing.T) {
			insns, err := prog.Assemble(tc.asm)
			if err != nil {
				t.Fatal(err)
			}
			p, err := prog.FromInsns("path", linux.Platform.Type(tc.typ), insns, []*maps.Spec{array})
			if err != nil {
				t.Fatal(err)
			}
			got, model, err := Check(p, tc.log)
			if err != nil {
				t.Fatal(err)
			}
			if got != tc.want {
				t.Errorf("%v, want %v: %s", got, tc.want, model)
			}
		})
	}
}

package linux

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/internal/oracle"
)

// TestPrepareKernel compares every number in the context of a fresh packet with
// what BPF_PROG_TEST_RUN gives a program that returns it.
func TestPrepareKernel(t *testing.T) {
	oracle.Skip(t)
	rng := rand.New(rand.NewPCG(13, 14))
	var packets [][]byte
	for _, f := range frames(rng) {
		for _, head := range []string{
			"\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x01\x08\x00", // to the loopback device
			"\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01\x08\x06", // broadcast
			"\x33\x33\x00\x00\x00\x01\x02\x00\x00\x00\x00\x01\x86\xdd", // multicast
			"\x02\x00\x00\x00\x00\x09\x02\x00\x00\x00\x00\x01\x81\x00", // someone else, VLAN
			"\x02\x00\x00\x00\x00\x09\x02\x00\x00\x00\x00\x01\x05\xff", // a length, the largest
			"\x02\x00\x00\x00\x00\x09\x02\x00\x00\x00\x00\x01\x06\x00", // the smallest type
			"\x02\x00\x00\x00\x00\x09\x02\x00\x00\x00\x00\x01\x00\x20\xff\xff",
			"\x02\x00\x00\x00\x00\x09\x02\x00\x00\x00\x00\x01\x00\x20\xff\xfe",
		} {
			p := append([]byte(nil), f...)
			copy(p, head)
			if ip := p[12] == 0x08 && p[13] == 0 || p[12] == 0x86; ip && len(p) < ethHeader+40 {
				continue // the kernel does not run programs on a cut IP header
			}
			packets = append(packets, p)
		}
	}
	for _, tc := range []struct {
		typ    *hook.Type
		kernel ebpf.ProgramType
	}{{SchedCls, ebpf.SchedCLS}, {XDP, ebpf.XDP}} {
		for _, f := range tc.typ.Ctx.Fields {
			if f.Kind != hook.FieldScalar || f.Size != 4 {
				continue
			}
			p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: tc.kernel, License: "GPL", Instructions: asm.Instructions{
				asm.LoadMem(asm.R0, asm.R1, int16(f.Off), asm.Word), asm.Return(),
			}})
			if err != nil {
				t.Fatalf("%s.%s: %v", tc.typ.Name, f.Name, err)
			}
			for _, pkt := range packets {
				opts := &ebpf.RunOptions{Data: pkt}
				if tc.typ == SchedCls {
					opts.Context = make([]byte, skb.Size) // without one there is no wire_len
				}
				want, err := p.Run(opts)
				if err != nil {
					t.Fatalf("%s.%s: %v", tc.typ.Name, f.Name, err)
				}
				env := runOf(tc.typ, pkt)
				if got := binary.NativeEndian.Uint32(env.Context[f.HostOff:]); got != want {
					t.Errorf("%s.%s = %#x, the kernel's %#x, for %d bytes that begin %x", tc.typ.Name, f.Name, got, want, len(pkt), pkt[:14])
				}
			}
			p.Close()
		}
	}
}

// TestPacketAllocs checks that what a run does to its packet allocates nothing.
func TestPacketAllocs(t *testing.T) {
	frame := make([]byte, 64)
	mem := make([]byte, 16)
	for _, tc := range []struct {
		typ  *hook.Type
		name string
		id   helpers.ID
		args [4]uint64 // a 1 stands for the address of mem
	}{
		{SchedCls, "skb_load_bytes", 26, [4]uint64{14, 1, 16}},
		{SchedCls, "skb_store_bytes", 9, [4]uint64{14, 1, 16, 0}},
		{SchedCls, "l3_csum_replace", 10, [4]uint64{24, 3, 4, 2}},
		{SchedCls, "redirect", 23, [4]uint64{}},
		{XDP, "xdp_adjust_head", 44, [4]uint64{0}},
		{XDP, "xdp_adjust_tail", 65, [4]uint64{0}},
		{XDP, "xdp_load_bytes", 189, [4]uint64{14, 1, 16}},
	} {
		env := runOf(tc.typ, frame)
		addr := env.Put(mem)
		for i := range tc.args {
			if tc.args[i] == 1 {
				tc.args[i] = addr
			}
		}
		impl := tc.typ.Helpers.Helper(tc.id).Impl
		if n := testing.AllocsPerRun(100, func() {
			tc.typ.Fill(env.Context, env.Pkt)
			if r := impl(env, 0, tc.args[0], tc.args[1], tc.args[2], tc.args[3]); int64(r) < 0 {
				t.Fatalf("%s = %d", tc.name, int64(r))
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations per call", tc.name, n)
		}
	}
}

package linux_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/oracle"
)

// TestLookupContextKernel compares the context of sk_lookup programs with the
// kernel's, bit by bit, since they return no more than one.
func TestLookupContextKernel(t *testing.T) {
	oracle.Skip(t)
	for _, l := range []*linux.Lookup{
		{Protocol: 6, Remote: netip.MustParseAddrPort("10.1.2.3:4660"), Local: netip.MustParseAddrPort("192.0.2.200:53281")},
		{Protocol: 17, Remote: netip.MustParseAddrPort("[2001:db8::1234:5]:1"), Local: netip.MustParseAddrPort("[fe80::ffee]:80")},
	} {
		// struct bpf_sk_lookup, as user space gives it to test_run.
		var ctx [72]byte
		ip4, ip6 := l.Remote.Addr().Is4(), l.Remote.Addr().Is6()
		binary.NativeEndian.PutUint32(ctx[12:], l.Protocol)
		switch {
		case ip4:
			binary.NativeEndian.PutUint32(ctx[8:], linux.AFInet)
			copy(ctx[16:], l.Remote.Addr().AsSlice())
			copy(ctx[40:], l.Local.Addr().AsSlice())
		case ip6:
			binary.NativeEndian.PutUint32(ctx[8:], linux.AFInet6)
			copy(ctx[20:], l.Remote.Addr().AsSlice())
			copy(ctx[44:], l.Local.Addr().AsSlice())
		}
		binary.BigEndian.PutUint16(ctx[36:], l.Remote.Port())
		binary.NativeEndian.PutUint32(ctx[60:], uint32(l.Local.Port()))
		for _, f := range linux.SkLookup.Ctx.Fields {
			if f.Kind != hook.FieldScalar {
				continue
			}
			step := 1
			if testing.Short() {
				step = 5
			}
			for bit := 0; bit < 32; bit += step {
				want := runCilium(t, ebpf.SkLookup, ebpf.AttachSkLookup, asm.Instructions{
					asm.LoadMem(asm.R0, asm.R1, int16(f.Off), asm.Word),
					asm.RSh.Imm(asm.R0, int32(bit)), asm.And.Imm(asm.R0, 1), asm.Return(),
				}, &ebpf.RunOptions{Context: ctx[:]})
				p := load(linux.SkLookup, fmt.Sprintf("r0 = *(u32 *)(r1 +%d)\nr0 >>= %d\nr0 &= 1\nexit", f.Off, bit), nil)
				got, err := p.RunSource(context.Background(), l)
				if err != nil || uint32(got) != want {
					t.Errorf("%v: bit %d of %s: %d, %v; the kernel's %d", l.Local, bit, f.Name, got, err, want)
				}
			}
		}
	}
}

// runCilium runs a program in the kernel and returns its result.
func runCilium(t *testing.T, typ ebpf.ProgramType, attach ebpf.AttachType, insns asm.Instructions, o *ebpf.RunOptions) uint32 {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: typ, AttachType: attach, License: "GPL", Instructions: insns})
	if err != nil {
		t.Fatalf("%v: %v", typ, err)
	}
	defer p.Close()
	ret, err := p.Run(o)
	if err != nil {
		t.Fatalf("%v: %v", typ, err)
	}
	return ret
}

// TestDissectionKernel compares the keys that a flow dissector finds, before and
// after it wrote some, with the kernel's.
func TestDissectionKernel(t *testing.T) {
	oracle.Skip(t)
	rng := rand.New(rand.NewPCG(3, 4))
	for _, size := range []int{14, 15, 34, 60, 300} {
		for range 10 {
			packet := make([]byte, size)
			for i := range packet {
				packet[i] = byte(rng.Uint32())
			}
			nhoff, thoff, proto := rng.IntN(400), rng.IntN(400), rng.IntN(256)
			write := rng.IntN(3) != 0
			insns := asm.Instructions{asm.LoadMem(asm.R2, asm.R1, 144, asm.DWord)}
			text := "r2 = *(u64 *)(r1 +144)\n"
			if write {
				insns = append(insns, asm.StoreImm(asm.R2, 0, int64(nhoff), asm.Half), asm.StoreImm(asm.R2, 2, int64(thoff), asm.Half), asm.StoreImm(asm.R2, 9, int64(proto), asm.Byte))
				text += fmt.Sprintf("*(u16 *)(r2 +0) = %d\n*(u16 *)(r2 +2) = %d\n*(u8 *)(r2 +9) = %d\n", nhoff, thoff, proto)
			}
			insns = append(insns, asm.Mov.Imm(asm.R0, 0), asm.Return())
			out := make([]byte, 4096)
			opts := &ebpf.RunOptions{Data: packet, DataOut: out}
			runCilium(t, ebpf.FlowDissector, ebpf.AttachFlowDissector, insns, opts)
			d := &linux.Dissection{Packet: packet}
			if _, err := load(linux.FlowDissector, text+"r0 = 0\nexit", nil).RunSource(context.Background(), d); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(d.Keys[:], opts.DataOut) {
				t.Errorf("%d bytes, nhoff %d, thoff %d, written %v: keys\n%x, the kernel's\n%x", size, nhoff, thoff, write, d.Keys, opts.DataOut)
			}
		}
	}
}

// TestSkbContextKernel compares the context of types on packets, and the packet's
// first byte, with what test_run gives them. Types of the network layer see the
// packet without its Ethernet header.
func TestSkbContextKernel(t *testing.T) {
	oracle.Skip(t)
	rng := rand.New(rand.NewPCG(5, 6))
	for _, tc := range []struct {
		typ     *hook.Type
		kernel  ebpf.ProgramType
		attach  ebpf.AttachType
		network bool
	}{
		{linux.SchedAct, ebpf.SchedACT, 0, false},
		{linux.CgroupSkb, ebpf.CGroupSKB, ebpf.AttachCGroupInetIngress, true},
		{linux.LwtIn, ebpf.LWTIn, 0, true},
		{linux.LwtOut, ebpf.LWTOut, 0, true},
		{linux.LwtXmit, ebpf.LWTXmit, 0, true},
	} {
		for _, f := range tc.typ.Ctx.Fields {
			if f.Kind != hook.FieldScalar || f.Size != 4 || socketField[f.Name] {
				continue
			}
			mask := int32(-1)
			if tc.typ.Return != hook.AnyReturn {
				mask = 1
			}
			for i := range 4 {
				packet := make([]byte, 64+rng.IntN(100))
				for i := range packet {
					packet[i] = byte(rng.Uint32())
				}
				clear(packet[:6]) // to the loopback device
				copy(packet[12:], []byte{8, 0, 0x45})
				if i%2 == 1 {
					copy(packet[12:], []byte{0x86, 0xdd, 0x60})
				}
				for shift := 0; shift == 0 || mask == 1 && shift < 20; shift++ {
					want := runCilium(t, tc.kernel, tc.attach, asm.Instructions{
						asm.LoadMem(asm.R0, asm.R1, int16(f.Off), asm.Word), asm.RSh.Imm(asm.R0, int32(shift)), asm.And.Imm32(asm.R0, mask), asm.Return(),
					}, &ebpf.RunOptions{Data: packet, Context: make([]byte, 192)})
					p := load(tc.typ, fmt.Sprintf("r0 = *(u32 *)(r1 +%d)\nr0 >>= %d\nw0 &= %d\nexit", f.Off, shift, mask), nil)
					ours := packet
					if tc.network {
						ours = packet[14:]
					}
					got, err := p.Run(ours)
					if tc.network && f.Name == "wire_len" || err == nil && uint32(got) == want {
						continue
					}
					t.Errorf("%s.%s >> %d: %#x, %v; the kernel's %#x, for %d bytes", tc.typ.Name, f.Name, shift, got, err, want, len(packet))
				}
			}
		}
	}
}

// socketField are fields that test_run fills from a socket of its own, which a
// packet here does not have.
var socketField = map[string]bool{"family": true, "remote_ip4": true, "local_ip4": true, "remote_port": true, "local_port": true,
	"remote_ip6[0]": true, "remote_ip6[1]": true, "remote_ip6[2]": true, "remote_ip6[3]": true,
	"local_ip6[0]": true, "local_ip6[1]": true, "local_ip6[2]": true, "local_ip6[3]": true}

// TestRawContextKernel compares the words that raw tracepoints and syscall
// programs are given.
func TestRawContextKernel(t *testing.T) {
	oracle.Skip(t)
	ctx := make([]byte, 32)
	for i := range ctx {
		ctx[i] = byte(3*i + 1)
	}
	for off := int16(0); off < 32; off += 8 {
		insns := asm.Instructions{asm.LoadMem(asm.R0, asm.R1, off, asm.DWord), asm.Mov.Reg(asm.R1, asm.R0), asm.RSh.Imm(asm.R1, 32),
			asm.Xor.Reg(asm.R0, asm.R1), asm.Mov.Reg32(asm.R0, asm.R0), asm.Return()}
		text := fmt.Sprintf("r0 = *(u64 *)(r1 +%d)\nr1 = r0\nr1 >>= 32\nr0 ^= r1\nw0 = w0\nexit", off)
		want := runCilium(t, ebpf.RawTracepoint, 0, insns, &ebpf.RunOptions{Context: ctx})
		c := &linux.Call{}
		for i := 0; i < 32; i += 8 {
			c.Args = append(c.Args, binary.NativeEndian.Uint64(ctx[i:]))
		}
		if got, err := load(linux.RawTracepoint, text, nil).RunSource(context.Background(), c); err != nil || uint32(got) != want {
			t.Errorf("raw_tracepoint +%d: %#x, %v; the kernel's %#x", off, got, err, want)
		}
		if got, err := load(linux.Syscall, text, nil).Run(ctx); err != nil || uint32(got) != want {
			t.Errorf("syscall +%d: %#x, %v; the kernel's %#x", off, got, err, want)
		}
	}
}

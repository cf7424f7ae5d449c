package linux

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/helpers/helpertest"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/internal/kcall"
	"github.com/skepvm/skep/internal/oracle"
)

// on returns a call of helper id as a program of type typ makes it, here and
// in the kernel (typ's number is kernelType).
func on(t *testing.T, typ *hook.Type, kernelType uint32, id helpers.ID, args ...kcall.Arg) *kcall.Call {
	t.Helper()
	c := kcall.New(t, kernelType, id, typ.Helpers.Helper(id), nil, args...)
	c.Env = func(frame []byte) *helpertest.Env { return runOf(typ, frame) }
	return c
}

// runOf returns a run of typ on frame.
func runOf(typ *hook.Type, frame []byte) *helpertest.Env {
	env := &helpertest.Env{Pkt: NewPacket(frame), Context: make([]byte, typ.Ctx.HostSize), RunState: typ.NewState()}
	typ.Fill(env.Context, env.Pkt)
	return env
}

// frames returns Ethernet frames of several sizes with random contents.
func frames(rng *rand.Rand) [][]byte {
	var fs [][]byte
	for _, n := range []int{14, 15, 20, 60, 64, 301, 1500} {
		f := make([]byte, n)
		for i := range f {
			f[i] = byte(rng.Uint32())
		}
		binary.BigEndian.PutUint16(f[12:], 0x88b5) // no protocol that the kernel looks into
		fs = append(fs, f)
	}
	return fs
}

func put64(buf []byte, off int, v uint64) { binary.NativeEndian.PutUint64(buf[off:], v) }

var ctxArg = kcall.Arg{Kind: kcall.Ctx}

// The place of each register's argument in the buffer, and of memory.
func num(reg int32) kcall.Arg { return kcall.Arg{Kind: kcall.Num, Off: 8 * reg} }

const memOff = 64

// TestResizeKernel compares the helpers that take a number and move an end of
// the packet with the kernel's.
func TestResizeKernel(t *testing.T) {
	deltas := []int64{0, 1, -1, 2, 4, -4, 8, 14, -14, 15, 16, 46, 50, 64, -64, 100, -100, 212, -212, 215, -215, 216, -216, -217, 220, 240, 252, -252, 255, 256, -256, 260,
		1000, -1000, 1486, 1487, 1500, 2020, 3219, 3220, 3456, 3460, 3506, 3507, 4096, -4096, 16000, 16064 - 64, 16064, 16065, 1 << 20, 1<<31 - 1, -1 << 31, 1 << 32, 1<<32 + 4}
	for _, tc := range []struct {
		name string
		typ  *hook.Type
		num  uint32
		id   helpers.ID
		args []kcall.Arg
	}{
		{"xdp_adjust_head", XDP, oracle.XDP, 44, []kcall.Arg{ctxArg, num(2)}},
		{"xdp_adjust_meta", XDP, oracle.XDP, 54, []kcall.Arg{ctxArg, num(2)}},
		{"xdp_adjust_tail", XDP, oracle.XDP, 65, []kcall.Arg{ctxArg, num(2)}},
		{"skb_pull_data", SchedCls, oracle.SchedCls, 39, []kcall.Arg{ctxArg, num(2)}},
		{"skb_change_tail", SchedCls, oracle.SchedCls, 38, []kcall.Arg{ctxArg, num(2), num(3)}},
		{"skb_change_head", SchedCls, oracle.SchedCls, 43, []kcall.Arg{ctxArg, num(2), num(3)}},
		{"skb_change_type", SchedCls, oracle.SchedCls, 32, []kcall.Arg{ctxArg, num(2)}},
		{"csum_update", SchedCls, oracle.SchedCls, 40, []kcall.Arg{ctxArg, num(2)}},
		{"set_hash_invalid", SchedCls, oracle.SchedCls, 41, []kcall.Arg{ctxArg}},
		{"set_hash", SchedCls, oracle.SchedCls, 48, []kcall.Arg{ctxArg, num(2)}},
		{"redirect", SchedCls, oracle.SchedCls, 23, []kcall.Arg{num(2), num(3)}},
		{"redirect xdp", XDP, oracle.XDP, 23, []kcall.Arg{num(2), num(3)}},
		{"redirect_neigh", SchedCls, oracle.SchedCls, 152, []kcall.Arg{num(2), {Kind: kcall.Const}, {Kind: kcall.Const}, num(3)}},
		{"redirect_peer", SchedCls, oracle.SchedCls, 155, []kcall.Arg{num(2), num(3)}},
		{"get_route_realm", SchedCls, oracle.SchedCls, 24, []kcall.Arg{ctxArg}},
		{"get_numa_node_id", SchedCls, oracle.SchedCls, 42, nil},
		{"xdp_get_buff_len", XDP, oracle.XDP, 188, []kcall.Arg{ctxArg}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := on(t, tc.typ, tc.num, tc.id, tc.args...)
			rng := rand.New(rand.NewPCG(5, 6))
			for _, frame := range frames(rng) {
				for _, d := range deltas {
					for _, flags := range []uint64{0, 1, 2} {
						if flags != 0 && len(tc.args) < 2 || flags != 0 && d != 4 {
							continue
						}
						buf := make([]byte, kcall.BufSize)
						put64(buf, 16, uint64(d))
						put64(buf, 24, flags)
						c.Compare(fmt.Sprintf("%d, flags %d, %d bytes", d, flags, len(frame)), buf, frame)
					}
				}
			}
		})
	}
}

// TestBytesKernel compares the helpers that copy to or from the packet with
// the kernel's.
func TestBytesKernel(t *testing.T) {
	mem, size := kcall.Arg{Kind: kcall.Addr, Off: memOff}, kcall.Arg{Kind: kcall.Size, Off: 32, Max: 128}
	for _, tc := range []struct {
		name string
		typ  *hook.Type
		num  uint32
		id   helpers.ID
		args []kcall.Arg
	}{
		{"skb_load_bytes", SchedCls, oracle.SchedCls, 26, []kcall.Arg{ctxArg, num(2), mem, size}},
		{"skb_load_bytes_relative", SchedCls, oracle.SchedCls, 68, []kcall.Arg{ctxArg, num(2), mem, size, num(5)}},
		{"skb_store_bytes", SchedCls, oracle.SchedCls, 9, []kcall.Arg{ctxArg, num(2), mem, size, num(5)}},
		{"xdp_load_bytes", XDP, oracle.XDP, 189, []kcall.Arg{ctxArg, num(2), mem, size}},
		{"xdp_store_bytes", XDP, oracle.XDP, 190, []kcall.Arg{ctxArg, num(2), mem, size}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := on(t, tc.typ, tc.num, tc.id, tc.args...)
			rng := rand.New(rand.NewPCG(7, 8))
			for _, frame := range frames(rng) {
				offs := []uint64{0, 1, 13, 14, uint64(len(frame) - 1), uint64(len(frame)), uint64(len(frame) + 1), 0xffff, 0x10000, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<32 + 2}
				for range 40 {
					offs = append(offs, uint64(rng.IntN(len(frame)+20)))
				}
				for _, off := range offs {
					buf := make([]byte, kcall.BufSize)
					for i := range 256 {
						buf[memOff+i] = byte(rng.Uint32())
					}
					put64(buf, 16, off)
					put64(buf, 32, uint64(1+rng.IntN(128)))
					flags := uint64(rng.IntN(5))
					put64(buf, 40, flags)
					c.Compare(fmt.Sprintf("offset %d, flags %d, %d bytes", off, flags, len(frame)), buf, frame)
				}
			}
		})
	}
}

// TestCsumReplaceKernel compares l3_csum_replace and l4_csum_replace with the
// kernel's.
func TestCsumReplaceKernel(t *testing.T) {
	n := 1000
	if !testing.Short() {
		n = 10000
	}
	for _, tc := range []struct {
		name string
		id   helpers.ID
	}{{"l3_csum_replace", 10}, {"l4_csum_replace", 11}} {
		t.Run(tc.name, func(t *testing.T) {
			c := on(t, SchedCls, oracle.SchedCls, tc.id, ctxArg, num(2), num(3), num(4), num(5))
			rng := rand.New(rand.NewPCG(9, 10))
			frame := frames(rng)[4]
			for range n {
				off := rng.IntN(66)
				if rng.IntN(8) != 0 {
					off = 20
				}
				binary.BigEndian.PutUint16(frame[20:], []uint16{0, 0xffff, uint16(rng.Uint32())}[rng.IntN(3)])
				flags := uint64([]int{0, 2, 4, rng.IntN(16), 0x10, 0x20, 0x22, 0x24, 0x62, 0x64, 0x14, 0x74, rng.IntN(512)}[rng.IntN(13)])
				from, to := rng.Uint64(), rng.Uint64()
				switch rng.IntN(4) {
				case 0:
					from = 0
				case 1:
					from, to = from&0xffff, to&0xffff
				case 2:
					from, to = 0, 0xffff
				}
				buf := make([]byte, kcall.BufSize)
				put64(buf, 16, uint64(off))
				put64(buf, 24, from)
				put64(buf, 32, to)
				put64(buf, 40, flags)
				c.Compare(fmt.Sprintf("offset %d, from %#x, to %#x, flags %#x", off, from, to, flags), buf, frame)
			}
		})
	}
}

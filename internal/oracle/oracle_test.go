package oracle

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

func load(t *testing.T, o LoadOptions) *Program {
	t.Helper()
	p, log, err := Load(o)
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	t.Cleanup(p.Close)
	return p
}

func TestRunXDP(t *testing.T) {
	Skip(t)
	p := load(t, LoadOptions{Type: XDP, Insns: []prog.Insn{
		{Op: 0x61, Dst: 2, Src: 1, Off: 0}, // r2 = data
		{Op: 0x61, Dst: 3, Src: 1, Off: 4}, // r3 = data_end
		{Op: 0xbf, Dst: 4, Src: 2},
		{Op: 0x07, Dst: 4, Imm: 14},
		{Op: 0xb7, Dst: 0, Imm: 7},
		{Op: 0x2d, Dst: 4, Src: 3, Off: 1},
		{Op: 0x72, Dst: 2, Off: 3, Imm: 0x5a},
		{Op: 0x95},
	}})
	r, err := p.Run(RunInput{Data: make([]byte, 20)})
	if err != nil {
		t.Fatal(err)
	}
	want := make([]byte, 20)
	want[3] = 0x5a
	if r.Retval != 7 || !cmp.Equal(r.Data, want) {
		t.Errorf("got %d, %x", r.Retval, r.Data)
	}
}

// TestRunSyscall writes to the context, and calls a subprogram as a callback.
func TestRunSyscall(t *testing.T) {
	Skip(t)
	p := load(t, LoadOptions{Type: Syscall, Insns: []prog.Insn{
		{Op: 0xbf, Dst: 6, Src: 1},
		{Op: 0x7a, Dst: 10, Off: -8, Imm: 0},
		{Op: 0xb7, Dst: 1, Imm: 5},
		{Op: 0x18, Dst: 2, Src: 4, Imm: 7}, {},
		{Op: 0xbf, Dst: 3, Src: 10},
		{Op: 0x07, Dst: 3, Imm: -8},
		{Op: 0xb7, Dst: 4, Imm: 0},
		{Op: 0x85, Imm: 181}, // loop(5, f, &n, 0)
		{Op: 0x7b, Dst: 6, Src: 0, Off: 8},
		{Op: 0x95},
		{Op: 0xb7, Dst: 0, Imm: 0}, // f
		{Op: 0x95},
	}})
	r, err := p.Run(RunInput{Ctx: make([]byte, 16)})
	if err != nil {
		t.Fatal(err)
	}
	if got := binary.NativeEndian.Uint64(r.Ctx[8:]); got != 5 {
		t.Errorf("%d iterations, want 5", got)
	}
}

func TestRefusal(t *testing.T) {
	Skip(t)
	_, log, err := Load(LoadOptions{Type: XDP, Insns: []prog.Insn{{Op: 0xbf, Dst: 0, Src: 3}, {Op: 0x95}}})
	if !errors.Is(err, errno.EACCES) || !strings.Contains(log, "R3 !read_ok") {
		t.Errorf("got %v: %s", err, log)
	}
}

func TestMap(t *testing.T) {
	Skip(t)
	m, err := NewMap(&maps.Spec{Type: maps.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 2}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	key, value := []byte{1, 0, 0, 0}, make([]byte, 8)
	if err := m.Lookup(key, value, 0); !errors.Is(err, errno.ENOENT) {
		t.Errorf("lookup in an empty map: %v", err)
	}
	if err := m.Update(key, []byte{8: 0}[:8], maps.NoExist); err != nil {
		t.Errorf("update: %v", err)
	}
	if err := m.Update(key, value, maps.NoExist); !errors.Is(err, errno.EEXIST) {
		t.Errorf("second update: %v", err)
	}
	keys, values, out := make([]byte, 8), make([]byte, 16), make([]byte, 4)
	n, err := m.Batch(BatchLookup, nil, out, keys, values, 2, 0)
	if n != 1 || !errors.Is(err, errno.ENOENT) {
		t.Errorf("batch lookup: %d, %v", n, err)
	}
	p := load(t, LoadOptions{Type: XDP, Maps: []*Map{m}, Insns: []prog.Insn{
		{Op: 0x18, Dst: 1, Src: 1, Imm: 0}, {},
		{Op: 0x62, Dst: 10, Off: -4, Imm: 1},
		{Op: 0xbf, Dst: 2, Src: 10},
		{Op: 0x07, Dst: 2, Imm: -4},
		{Op: 0x85, Imm: 1},
		{Op: 0x15, Dst: 0, Off: 2, Imm: 0},
		{Op: 0x7a, Dst: 0, Imm: 77},
		{Op: 0xb7, Dst: 0, Imm: 1},
		{Op: 0x95},
	}})
	r, err := p.Run(RunInput{Data: make([]byte, 14)})
	if err != nil || r.Retval != 1 {
		t.Fatalf("run: %d, %v", r.Retval, err)
	}
	if err := m.Lookup(key, value, 0); err != nil || value[0] != 77 {
		t.Errorf("value %x, %v", value, err)
	}
	if err := m.Freeze(); err != nil {
		t.Error(err)
	}
	if err := m.Update(key, value, 0); !errors.Is(err, errno.EPERM) {
		t.Errorf("update of a frozen map: %v", err)
	}
}

// TestWithin interrupts the kernel, which walks every iteration of a loop.
func TestWithin(t *testing.T) {
	Skip(t)
	o := LoadOptions{Type: SocketFilter, NoLog: true, Insns: []prog.Insn{
		{Op: 0xb7},                        // r0 = 0
		{Op: 0x07, Imm: 1},                // r0 += 1
		{Op: 0x55, Off: -2, Imm: 330_000}, // if r0 != 330000 goto -2
		{Op: 0x95},
	}}
	load(t, o)
	o.Within = time.Millisecond
	if _, _, err := Load(o); !errors.Is(err, errno.EAGAIN) {
		t.Errorf("got %v, want EAGAIN", err)
	}
}

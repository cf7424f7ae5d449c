package maps_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// ringCtx is the context of the programs below, in words.
const (
	ctxSize   = iota // bytes to output
	ctxFlags         // of output or commit
	ctxMode          // bit 0: discard; bit 1: output while the reservation is open
	ctxResult        // output: R0; reserve: whether it succeeded
	ctxInner         // R0 of the output while the reservation was open
	ctxQuery         // five answers of bpf_ringbuf_query, for 0 to 4
	ctxWords  = ctxQuery + 5
)

const ringSize = 4096

// assembly builds raw programs for the kernel.
type assembly []prog.Insn

func (a *assembly) add(in ...prog.Insn)         { *a = append(*a, in...) }
func (a *assembly) imm(dst prog.Reg, imm int32) { a.add(prog.Insn{Op: 0xb7, Dst: dst, Imm: imm}) }
func (a *assembly) mov(dst, src prog.Reg)       { a.add(prog.Insn{Op: 0xbf, Dst: dst, Src: src}) }
func (a *assembly) load(dst prog.Reg, word int16) {
	a.add(prog.Insn{Op: 0x79, Dst: dst, Src: 6, Off: word * 8})
}
func (a *assembly) store(word int16, src prog.Reg) {
	a.add(prog.Insn{Op: 0x7b, Dst: 6, Src: src, Off: word * 8})
}
func (a *assembly) call(helper int32) { a.add(prog.Insn{Op: 0x85, Imm: helper}) }
func (a *assembly) ring()             { a.add(prog.Insn{Op: 0x18, Dst: 1, Src: 1, Imm: 0}, prog.Insn{}) }
func (a *assembly) data()             { a.add(prog.Insn{Op: 0x18, Dst: 2, Src: 2, Imm: 1}, prog.Insn{}) }

// jump adds a jump to be bound, later, to where it leads.
func (a *assembly) jump(op byte, dst prog.Reg, imm int32) (bind func()) {
	at := len(*a)
	a.add(prog.Insn{Dst: dst, Imm: imm})
	(*a)[at].Op = 0x05
	switch op {
	case '=':
		(*a)[at].Op = 0x15
	case '>':
		(*a)[at].Op = 0x25
	case '&':
		(*a)[at].Op = 0x45
	}
	return func() { (*a)[at].Off = int16(len(*a) - at - 1) }
}

func (a *assembly) output(sizeWord int16) {
	a.load(3, sizeWord)
	out := a.jump('>', 3, ringSize)
	a.ring()
	a.data()
	a.load(4, ctxFlags)
	a.call(130)
	out()
}

// ringProgram outputs, or with size ≥ 0 reserves that many bytes.
func ringProgram(size int32) []prog.Insn {
	a := &assembly{}
	a.mov(6, 1)
	a.imm(0, 0)
	if size < 0 {
		a.output(ctxSize)
		a.store(ctxResult, 0)
	} else {
		a.ring()
		a.imm(2, size)
		a.imm(3, 0)
		a.call(131)
		failed := a.jump('=', 0, 0)
		a.mov(7, 0)
		a.load(1, ctxMode)
		inner := a.jump('&', 1, 2)
		back := a.jump('j', 0, 0)
		inner()
		a.imm(0, 0)
		a.output(ctxSize)
		a.store(ctxInner, 0)
		back()
		a.load(8, ctxMode)
		a.load(2, ctxFlags)
		a.mov(1, 7)
		discard := a.jump('&', 8, 1)
		a.call(132)
		done := a.jump('j', 0, 0)
		discard()
		a.call(133)
		done()
		a.imm(1, 1)
		a.store(ctxResult, 1)
		failed()
	}
	for i := range int32(5) {
		a.ring()
		a.imm(2, i)
		a.call(134)
		a.store(int16(ctxQuery+i), 0)
	}
	a.imm(0, 0)
	a.add(prog.Insn{Op: 0x95})
	return *a
}

// kernelRing reads the kernel's ring as user space does, through its pages.
type kernelRing struct {
	cons, prod *atomic.Uint64
	data       []byte
}

func mapRing(t *testing.T, fd int) kernelRing {
	t.Helper()
	c, err := unix.Mmap(fd, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	p, err := unix.Mmap(fd, 4096, 4096+2*ringSize, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(c); unix.Munmap(p) })
	return kernelRing{
		cons: (*atomic.Uint64)(unsafe.Pointer(&c[0])),
		prod: (*atomic.Uint64)(unsafe.Pointer(&p[0])),
		data: p[4096:],
	}
}

// next takes the next record; nil if there is none.
func (k kernelRing) next() []byte {
	for {
		cons := k.cons.Load()
		if cons == k.prod.Load() {
			return nil
		}
		at := int(cons % ringSize)
		n := binary.NativeEndian.Uint32(k.data[at:])
		size := int(n &^ (1 << 30))
		rec := append([]byte{}, k.data[at+8:][:size]...)
		k.cons.Store(cons + uint64(size+8+7)&^7)
		if n&(1<<30) == 0 {
			return rec
		}
	}
}

// TestKernelRingBuf compares outputs, reservations, some with an output while
// they are open, positions, and what a reader gets.
func TestKernelRingBuf(t *testing.T) {
	oracle.Skip(t)
	r := rand.New(rand.NewPCG(7, 7))
	spec := maps.Spec{Type: maps.RingBuf, MaxEntries: ringSize}
	theirs, err := oracle.NewMap(&spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	source, err := oracle.NewMap(&maps.Spec{Type: maps.Array, KeySize: 4, ValueSize: ringSize, MaxEntries: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	ring := mapRing(t, theirs.FD())
	m, err := maps.New(&spec)
	if err != nil {
		t.Fatal(err)
	}
	ours := m.(maps.RingBuffer)
	reader, err := maps.NewRingBufReader(m)
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()

	sizes := []int32{-1, 0, 1, 8, 24, 100, 1000, 2040, 4000, 4079, 4080, 4081, 4088, 4089, 1 << 30, 1<<30 + 1}
	programs := map[int32]*oracle.Program{}
	for _, size := range sizes {
		p, log, err := oracle.Load(oracle.LoadOptions{Type: oracle.Syscall, Insns: ringProgram(size), Maps: []*oracle.Map{theirs, source}})
		if err != nil {
			t.Fatalf("size %d: %v\n%s", size, err, log)
		}
		defer p.Close()
		programs[size] = p
	}
	data := make([]byte, ringSize)
	bit := func(ok bool) uint64 {
		if ok {
			return 1
		}
		return 0
	}
	ops := diffOps(t)
	for i := range ops {
		var words [ctxWords]uint64
		words[ctxSize] = uint64(r.IntN(200))
		if r.IntN(10) == 0 {
			words[ctxSize] = uint64(r.IntN(ringSize + 1))
		}
		words[ctxFlags] = []uint64{0, 0, 1, 2, 3}[r.IntN(5)]
		words[ctxMode] = r.Uint64N(4)
		size := sizes[0]
		if r.IntN(2) == 0 {
			size = sizes[1+r.IntN(len(sizes)-1)]
			if size > 1000 && r.IntN(4) != 0 {
				size = 24
			}
		} else if r.IntN(20) == 0 {
			words[ctxFlags] = 4 + r.Uint64N(100)
		}
		if i%16 == 0 {
			for j := range data {
				data[j] = byte(r.Uint32())
			}
			if err := source.Update(make([]byte, 4), data, 0); err != nil {
				t.Fatal(err)
			}
		}
		var ctx []byte
		for _, w := range words {
			ctx = binary.NativeEndian.AppendUint64(ctx, w)
		}
		res, err := programs[size].Run(oracle.RunInput{Ctx: ctx})
		if err != nil {
			t.Fatal(err)
		}

		got := words
		if size < 0 {
			got[ctxResult] = r0(ours.Output(data[:words[ctxSize]], words[ctxFlags]))
		} else if b := ours.Reserve(int(size)); b != nil {
			if words[ctxMode]&2 != 0 {
				got[ctxInner] = r0(ours.Output(data[:words[ctxSize]], words[ctxFlags]))
			}
			ours.Commit(b, words[ctxMode]&1 != 0, words[ctxFlags])
			got[ctxResult] = bit(true)
		}
		for q := range uint64(5) {
			got[ctxQuery+q] = ours.Query(q)
		}
		var want [ctxWords]uint64
		for w := range want {
			want[w] = binary.NativeEndian.Uint64(res.Ctx[w*8:])
		}
		if got != want {
			t.Fatalf("step %d, reserve %d, size %d, flags %d, mode %d: %v, the kernel: %v", i, size, words[ctxSize], words[ctxFlags], words[ctxMode], got[ctxResult:], want[ctxResult:])
		}
		for range r.IntN(3) {
			want := ring.next()
			rec, err := reader.Read(gone)
			if (want == nil) != (err != nil) || len(rec.Data) != len(want) {
				t.Fatalf("step %d: read %d bytes, %v, the kernel: %d", i, len(rec.Data), err, len(want))
			}
			// The programs do not write what they reserve.
			if !reserved(sizes, len(want)) && !bytes.Equal(want, rec.Data) {
				t.Fatalf("step %d: read %x, the kernel: %x", i, rec.Data, want)
			}
		}
	}
	t.Logf("%d operations", ops)
}

// reserved reports whether a record of n bytes may come from a reservation.
func reserved(sizes []int32, n int) bool {
	for _, s := range sizes {
		if int(s) == n {
			return true
		}
	}
	return false
}

// TestKernelRingBufNone compares the operations that ring buffers lack.
func TestKernelRingBufNone(t *testing.T) {
	oracle.Skip(t)
	spec := maps.Spec{Type: maps.RingBuf, MaxEntries: ringSize}
	theirs, err := oracle.NewMap(&spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	m, err := maps.New(&spec)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		op         string
		ours, them error
	}{
		{"lookup", m.Lookup(nil, nil), theirs.Lookup(nil, nil, 0)},
		{"update", m.Update(nil, nil, 0), theirs.Update(nil, nil, 0)},
		{"delete", m.Delete(nil), theirs.Delete(nil)},
		{"next key", m.NextKey(nil, nil), theirs.NextKey(nil, nil)},
		{"lookup and delete", m.(maps.LookupDeleter).LookupAndDelete(nil, nil), theirs.LookupAndDelete(nil, nil, 0)},
		{"freeze", m.(maps.Freezer).Freeze(), theirs.Freeze()},
		{"update, frozen", m.Update(nil, nil, 0), theirs.Update(nil, nil, 0)},
	} {
		if number(c.ours) != number(c.them) {
			t.Errorf("%s: %v, the kernel: %v", c.op, c.ours, c.them)
		}
	}
}

type target struct{ id uint32 }

func (p target) ID() uint32 { return p.id }

// TestKernelProgArray compares program arrays, with one program as the target.
func TestKernelProgArray(t *testing.T) {
	oracle.Skip(t)
	p, _, err := oracle.Load(oracle.LoadOptions{Type: oracle.SocketFilter, Insns: []prog.Insn{{Op: 0xb7}, {Op: 0x95}}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	ops, total := diffOps(t), 0
	r := rand.New(rand.NewPCG(8, 8))
	for round := 0; total < ops; round++ {
		s := maps.Spec{Type: maps.ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: []uint32{1, 3, 17}[round%3],
			Flags: []maps.Flags{0, 0, maps.ReadOnly, maps.WriteOnly}[round%4]}
		pr := newPair(t, s, uint64(round))
		array := pr.ours.(maps.ProgramArray)
		id := uint32(0)
		for i := range max(100, min(1000, ops/60)) {
			total++
			n := r.Uint32N(s.MaxEntries + 2)
			key, a, b := binary.NativeEndian.AppendUint32(nil, n), make([]byte, 4), make([]byte, 4)
			var op string
			var got, want error
			switch flags := pr.flags(); r.IntN(7) {
			case 0, 1:
				op = "store"
				got, want = array.Store(n, target{id}), pr.theirs.Update(key, binary.NativeEndian.AppendUint32(nil, uint32(p.FD())), 0)
			case 2:
				op = fmt.Sprintf("update, flags %#x", flags)
				got, want = pr.ours.Update(key, []byte{255, 255, 255, 127}, flags), pr.theirs.Update(key, []byte{255, 255, 255, 127}, flags)
			case 3:
				op = "lookup"
				got, want = pr.ours.Lookup(key, a), pr.theirs.Lookup(key, b, 0)
				if want == nil { // its number is the kernel's to choose
					if id == 0 {
						id = binary.NativeEndian.Uint32(b)
					} else if got == nil && !bytes.Equal(a, b) && binary.NativeEndian.Uint32(a) != 0 {
						t.Fatalf("lookup: %x, the kernel: %x", a, b)
					}
				}
				if (array.Load(n) != nil) != (want == nil) && s.Flags&maps.WriteOnly == 0 {
					t.Fatalf("load: %v, the kernel: %v", array.Load(n), want)
				}
			case 4:
				op = "delete"
				got, want = pr.ours.Delete(key), pr.theirs.Delete(key)
			case 5:
				op = "next key"
				got, want = pr.ours.NextKey(key, a), pr.theirs.NextKey(key, b)
				if want == nil && !bytes.Equal(a, b) {
					t.Fatalf("next key: %x, the kernel: %x", a, b)
				}
			case 6:
				op = "lookup and delete"
				got, want = pr.ours.(maps.LookupDeleter).LookupAndDelete(key, a), pr.theirs.LookupAndDelete(key, b, 0)
			}
			if number(got) != number(want) {
				t.Fatalf("flags %v, step %d, %s %d: %s, the kernel: %s", s.Flags, i, op, n, text(number(got)), text(number(want)))
			}
		}
		if _, got := maps.UpdateBatch(pr.ours, make([]byte, 4), make([]byte, 4), 0); s.Flags == 0 && number(got) != errno.ENOTSUPP {
			t.Errorf("update batch: %v", got)
		}
		if g, w := number(pr.ours.(maps.Freezer).Freeze()), number(pr.theirs.Freeze()); g != w {
			t.Errorf("flags %v: freeze: %s, the kernel: %s", s.Flags, text(g), text(w))
		}
		pr.theirs.Close()
	}
	t.Logf("%d operations", total)
}

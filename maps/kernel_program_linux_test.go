package maps_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/internal/vcpu"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// The context of the program below, in words. Keys have 4 bytes, values 16.
const (
	opWhat   = iota // 0: lookup; 1: update; 2: delete; 3: store to the value
	opKey           // the key
	opFlags         // of an update
	opValue         // what is stored, or found: 2 words
	opResult = opValue + 2
	opCPU    = opResult + 1 // where the program ran
	opHeld   = opCPU + 1    // the value found first, read again after the update or delete: 2 words
	opWords  = opHeld + 2
)

// elementProgram does one operation on its map as a program does.
func elementProgram() []prog.Insn {
	a := &assembly{}
	a.mov(6, 1)
	a.load(1, opKey)
	a.add(prog.Insn{Op: 0x63, Dst: 10, Src: 1, Off: -4})
	for i := range int16(2) {
		a.load(1, opValue+i)
		a.add(prog.Insn{Op: 0x7b, Dst: 10, Src: 1, Off: -24 + 8*i})
	}
	a.call(8) // get_smp_processor_id
	a.store(opCPU, 0)
	key := func() {
		a.ring() // map 0
		a.mov(2, 10)
		a.add(prog.Insn{Op: 0x07, Dst: 2, Imm: -4})
	}
	key()
	a.call(1)
	a.mov(7, 0)
	a.load(8, opWhat)
	notUpdate := a.jump('>', 8, 1)
	isLookup := a.jump('=', 8, 0)
	key()
	a.mov(3, 10)
	a.add(prog.Insn{Op: 0x07, Dst: 3, Imm: -24})
	a.load(4, opFlags)
	a.call(2)
	a.store(opResult, 0)
	end := a.jump('j', 0, 0)
	notUpdate()
	isStore := a.jump('=', 8, 3)
	key()
	a.call(3)
	a.store(opResult, 0)
	end2 := a.jump('j', 0, 0)
	isStore()
	none := a.jump('=', 7, 0)
	for i := range int16(2) {
		a.load(1, opValue+i)
		a.add(prog.Insn{Op: 0x7b, Dst: 7, Src: 1, Off: 8 * i})
	}
	isLookup()
	none()
	none2 := a.jump('=', 7, 0)
	a.imm(1, 1)
	a.store(opResult, 1)
	none2()
	end()
	end2()
	none3 := a.jump('=', 7, 0)
	for i := range int16(2) {
		a.add(prog.Insn{Op: 0x79, Dst: 1, Src: 7, Off: 8 * i})
		a.store(opHeld+i, 1)
	}
	none3()
	a.imm(0, 0)
	a.add(prog.Insn{Op: 0x95})
	return *a
}

// TestKernelElems compares what programs do to maps, with bpf(2) looking on: a
// value that a program found must read the same after it replaced or deleted
// the entry, too.
func TestKernelElems(t *testing.T) {
	oracle.Skip(t)
	if n, err := oracle.PossibleCPUs(); err != nil || n != maps.NumCPU() {
		t.Skipf("per-CPU values differ in length: %d possible CPUs, %d virtual ones, %v", n, maps.NumCPU(), err)
	}
	c := vcpu.Lease()
	defer func() { c.Release() }()
	for _, typ := range []maps.Type{maps.Array, maps.PerCPUArray, maps.Hash, maps.PerCPUHash, maps.LRUHash, maps.LRUPerCPUHash} {
		t.Run(typ.String(), func(t *testing.T) {
			ops, total := diffOps(t), 0
			for round := 0; total < ops; round++ {
				s := maps.Spec{Type: typ, KeySize: 4, ValueSize: 16, MaxEntries: []uint32{1, 4, 40}[round%3]}
				if typ == maps.Hash || typ == maps.PerCPUHash {
					s.Flags = []maps.Flags{0, maps.NoPrealloc}[round%2]
				}
				keys := s.MaxEntries + s.MaxEntries/2 + 1
				if typ == maps.LRUHash || typ == maps.LRUPerCPUHash {
					s.MaxEntries, keys = 2000, 50 // none gives way
					s.Flags = []maps.Flags{0, maps.NoCommonLRU}[round%2]
				}
				p := newPair(t, s, uint64(round))
				program, log, err := oracle.Load(oracle.LoadOptions{Type: oracle.Syscall, Insns: elementProgram(), Maps: []*oracle.Map{p.theirs}})
				if err != nil {
					t.Fatalf("%v\n%s", err, log)
				}
				r := rand.New(rand.NewPCG(uint64(round), 9))
				for i := range max(100, min(1000, ops/60)) {
					total++
					c.Release()
					c = vcpu.Lease()
					key := binary.NativeEndian.AppendUint32(nil, r.Uint32N(keys))
					if r.IntN(4) == 0 {
						if err := p.step(); err != nil {
							t.Fatalf("%v, flags %v, step %d: %v", typ, s.Flags, i, err)
						}
						continue
					}
					flags := []maps.UpdateFlags{0, 0, 0, 1, 2, 3, 4, 8}[r.IntN(8)]
					in := [opWords]uint64{opWhat: r.Uint64N(4), opKey: uint64(binary.NativeEndian.Uint32(key)), opFlags: uint64(flags), opValue: r.Uint64(), opValue + 1: r.Uint64()}
					var ctx []byte
					for _, w := range in {
						ctx = binary.NativeEndian.AppendUint64(ctx, w)
					}
					res, err := program.Run(oracle.RunInput{Ctx: ctx})
					if err != nil {
						t.Fatal(err)
					}
					var want [opWords]uint64
					for w := range want {
						want[w] = binary.NativeEndian.Uint64(res.Ctx[w*8:])
					}

					got := in
					got[opCPU] = want[opCPU]
					cpu := int(want[opCPU])
					value := ctx[opValue*8:][:16]
					held := p.ours.LookupElem(cpu, key)
					switch in[opWhat] {
					case 1:
						got[opResult] = r0(p.ours.UpdateElem(cpu, key, value, flags))
					case 2:
						got[opResult] = r0(p.ours.DeleteElem(cpu, key))
					case 3:
						copy(held, value)
						fallthrough
					case 0:
						if held != nil {
							got[opResult] = 1
						}
					}
					if held != nil {
						got[opHeld] = binary.NativeEndian.Uint64(held)
						got[opHeld+1] = binary.NativeEndian.Uint64(held[8:])
					}
					if got != want {
						t.Fatalf("%v, flags %v, step %d: %x gives %x, the kernel: %x", typ, s.Flags, i, in[:opResult], got[opResult:], want[opResult:])
					}
				}
				if err := p.walk(); err != nil {
					t.Fatalf("%v, flags %v: %v", typ, s.Flags, err)
				}
				program.Close()
				p.theirs.Close()
			}
			t.Logf("%d operations", total)
		})
	}
}

// r0 returns err as a helper's result.
func r0(err error) uint64 {
	if err == nil {
		return 0
	}
	return number(err).R0()
}

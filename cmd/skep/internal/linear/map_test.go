package linear

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// words is how many words a value has, all of which are the same number: what
// has different ones is torn. An array has one word: the kernel promises no
// more there.
func words(t maps.Type) int {
	if t == maps.Array {
		return 1
	}
	return 8
}

// The packet of the program, in bytes: what is asked, and what comes of it.
const (
	pktKind  = 0  // 4 bytes
	pktKey   = 8  // 8 bytes: as the map takes it
	pktValue = 16 // 8 bytes
	pktFlags = 24 // 8 bytes
	pktFound = 32 // the value's words
	pktSize  = pktFound + 64
)

// program does to map 0, of type typ, what its packet asks. It returns the
// negated error number, or 1 for a lookup that found something.
func program(typ maps.Type) string {
	var b strings.Builder
	n := words(typ)
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	stack := func(word int) int { return -8 * (n + 1 - word) } // of the value; the key is at fp-8
	line("r6 = *(u32 *)(r1 +0)\nr2 = *(u32 *)(r1 +4)\nr0 = -1\nr1 = r6\nr1 += %d\nif r1 > r2 goto out", pktSize)
	line("r1 = *(u64 *)(r6 +%d)\n*(u64 *)(r10 -8) = r1", pktKey)
	line("r1 = *(u64 *)(r6 +%d)", pktValue)
	for i := range n {
		line("*(u64 *)(r10 %d) = r1", stack(i))
	}
	line("r8 = *(u32 *)(r6 +%d)\nr9 = *(u64 *)(r6 +%d)", pktKind, pktFlags)
	key := "r1 = map[0]\nr2 = r10\nr2 += -8"
	value := func(reg int) string { return fmt.Sprintf("r%d = r10\nr%d += %d", reg, reg, stack(0)) }
	found := func(from string) {
		for i := range n {
			line("r1 = *(u64 *)(%s)\n*(u64 *)(r6 +%d) = r1", strings.ReplaceAll(from, "I", fmt.Sprint(8*i)), pktFound+8*i)
		}
	}
	switch typ {
	case maps.Queue, maps.Stack:
		line("if r8 == %d goto push", opUpdate)
		line("r1 = map[0]\n%s\nif r8 == %d goto pop\ncall 89\ngoto got", value(2), opTake)
		line("pop:\ncall 88\ngot:")
		for i := range n {
			line("r1 = *(u64 *)(r10 %d)\n*(u64 *)(r6 +%d) = r1", stack(i), pktFound+8*i)
		}
		line("if r0 != 0 goto out\nr0 = 1\ngoto out")
		line("push:\nr1 = map[0]\n%s\nr3 = r9\ncall 87", value(2))
	case maps.RingBuf:
		line("if r9 == 1 goto output")
		line("r1 = map[0]\nr2 = %d\nr3 = 0\ncall 131\nr7 = r0\nr0 = -11\nif r7 == 0 goto out", 8*n)
		line("r1 = *(u64 *)(r6 +%d)", pktValue)
		for i := range n {
			line("*(u64 *)(r7 +%d) = r1", 8*i)
		}
		line("r1 = r7\nr2 = 0\ncall 132\nr0 = 0\ngoto out")
		line("output:\nr1 = map[0]\n%s\nr3 = %d\nr4 = 0\ncall 130", value(2), 8*n)
	default:
		line("if r8 == %d goto update\nif r8 == %d goto delete", opUpdate, opDelete)
		line("%s\ncall 1\nif r0 == 0 goto none\nif r8 == %d goto add", key, opAdd)
		found("r0 +I")
		line("r0 = 1\ngoto out")
		line("none:\nr0 = -2\ngoto out")
		line("add:\nr1 = *(u64 *)(r6 +%d)\nr1 = atomic_fetch_add((u64 *)(r0 +0), r1)\n*(u64 *)(r6 +%d) = r1", pktValue, pktFound)
		line("r0 = 1\ngoto out")
		line("update:\n%s\n%s\nr4 = r9\ncall 2\ngoto out", key, value(3))
		line("delete:\n%s\ncall 3", key)
	}
	line("out:\nexit")
	return b.String()
}

// A subject is a map under test and a program that uses it.
type subject struct {
	t    testing.TB
	typ  maps.Type
	m    maps.Map
	prog *vm.Program
	ring *maps.RingBufReader
	coll *vm.Collection
}

func newSubject(t testing.TB, typ maps.Type, e vm.Engine) *subject {
	t.Helper()
	s := &maps.Spec{Name: "m", Type: typ, KeySize: 4, ValueSize: uint32(8 * words(typ)), MaxEntries: 16}
	switch typ {
	case maps.Queue, maps.Stack:
		s.KeySize, s.MaxEntries = 0, queueEntries
	case maps.LRUHash: // below capacity, whatever a shard of it is
		s.MaxEntries = 2000
	case maps.LPMTrie:
		s.KeySize, s.Flags = 8, maps.NoPrealloc
	case maps.RingBuf:
		s.KeySize, s.ValueSize, s.MaxEntries = 0, 0, 4096
	}
	insns, err := prog.Assemble(program(typ))
	if err != nil {
		t.Fatalf("%v\n%s", err, program(typ))
	}
	p, err := prog.FromInsns("p", linux.XDP, insns, []*maps.Spec{s})
	if err != nil {
		t.Fatal(err)
	}
	coll, err := vm.LoadProgram(p, vm.Options{Engine: e})
	if err != nil {
		t.Fatalf("%v\n%s", err, program(typ))
	}
	sub := &subject{t: t, typ: typ, m: coll.Map("m"), prog: coll.Program("p"), coll: coll}
	if typ == maps.RingBuf {
		if sub.ring, err = maps.NewRingBufReader(sub.m); err != nil {
			t.Fatal(err)
		}
	}
	return sub
}

func (s *subject) close() {
	if s.ring != nil {
		s.ring.Close()
	}
	s.coll.Close()
}

// key returns the bytes of key n.
func (s *subject) key(n uint32) []byte {
	switch s.typ {
	case maps.LPMTrie: // bits after a prefix do not matter
		return binary.NativeEndian.AppendUint32(binary.NativeEndian.AppendUint32(nil, prefixes[n]), 0x0a141e28)
	case maps.Queue, maps.Stack, maps.RingBuf:
		return nil
	}
	return binary.NativeEndian.AppendUint32(nil, n)
}

// value returns the one number that all words of b are.
func (s *subject) value(b []byte) uint64 {
	v := binary.NativeEndian.Uint64(b)
	for i := range words(s.typ) {
		if w := binary.NativeEndian.Uint64(b[8*i:]); w != v {
			s.t.Errorf("%v: a torn value: %x", s.typ, b)
			break
		}
	}
	return v
}

// byProgram does in by a program.
func (s *subject) byProgram(in input) output {
	pkt := make([]byte, pktSize)
	binary.NativeEndian.PutUint32(pkt[pktKind:], uint32(in.kind))
	copy(pkt[pktKey:], s.key(in.key))
	binary.NativeEndian.PutUint64(pkt[pktValue:], in.value)
	binary.NativeEndian.PutUint64(pkt[pktFlags:], uint64(in.flags))
	ret, err := s.prog.Run(pkt)
	switch r := int32(ret); {
	case err != nil:
		s.t.Errorf("%v: %v", s.typ, err)
		return output{}
	case r < 0:
		return output{err: errno.Errno(-r)}
	case r == 0:
		return output{}
	case in.kind == opAdd:
		return output{value: binary.NativeEndian.Uint64(pkt[pktFound:])}
	}
	return output{value: s.value(pkt[pktFound:])}
}

// done is a context that never waits.
var done = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// byGo does in by Go code. ok is false if there is nothing to tell.
func (s *subject) byGo(in input) (out output, ok bool) {
	if s.typ == maps.RingBuf {
		rec, err := s.ring.Read(done)
		if err != nil {
			return out, false
		}
		return output{value: s.value(rec.Data)}, true
	}
	value := make([]byte, 8*words(s.typ))
	var err error
	switch in.kind {
	case opLookup:
		err = s.m.Lookup(s.key(in.key), value)
	case opTake:
		err = s.m.(maps.LookupDeleter).LookupAndDelete(s.key(in.key), value)
	case opDelete:
		return result(0, number0(s.m.Delete(s.key(in.key)))), true
	case opUpdate:
		for i := range words(s.typ) {
			binary.NativeEndian.PutUint64(value[8*i:], in.value)
		}
		return result(0, number0(s.m.Update(s.key(in.key), value, in.flags))), true
	}
	if err != nil {
		return result(0, number0(err)), true
	}
	return output{value: s.value(value)}, true
}

// number0 returns the error number in err, 0 for nil.
func number0(err error) (e errno.Errno) {
	if err != nil && !errors.As(err, &e) {
		panic("an error without a number: " + err.Error())
	}
	return e
}

package vm_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// stackProgram stores its stack in map 0, with the flags of word 0 of its context,
// and in map 1, where every trace finds room, from the same instruction; then it
// copies the stack with the flags of word 1. Map 2 gets the results, and the copy.
const stackProgram = `
r6 = r1
r7 = *(u64 *)(r6 +0)
r9 = map[2][0]+0
r8 = 0
again:
r1 = r6
r3 = r7
r2 = map[0]
if r8 == 0 goto both
r2 = map[1]
r3 |= 1024
both:
call 27
if r8 != 0 goto second
*(u64 *)(r9 +0) = r0
r8 = 1
goto again
second:
*(u64 *)(r9 +8) = r0
r1 = r6
r2 = r9
r2 += 24
r3 = %d
r4 = *(u64 *)(r6 +8)
call 67
*(u64 *)(r9 +16) = r0
r0 = 0
exit`

const stackBuf = 320

// TestKernelStacks compares get_stackid and get_stack, on this process's stacks,
// and the map of the traces, with the kernel's.
func TestKernelStacks(t *testing.T) {
	oracle.Skip(t)
	steps := envInt(t, "SKEP_DIFF_OPS", 150)
	if testing.Short() && os.Getenv("SKEP_DIFF_OPS") == "" {
		steps = 60
	}
	text := fmt.Sprintf(stackProgram, stackBuf)
	outcomes := map[string]int{}
	for _, spec := range []maps.Spec{
		{ValueSize: 64, MaxEntries: 64}, {ValueSize: 8, MaxEntries: 2}, {ValueSize: 160, MaxEntries: 1}, {ValueSize: 1016, MaxEntries: 7},
		{ValueSize: 320, MaxEntries: 5, Flags: maps.StackBuildID}, {ValueSize: 32, MaxEntries: 64, Flags: maps.StackBuildID},
	} {
		spec.Name, spec.Type, spec.KeySize = "m", maps.StackTrace, 4
		all := spec
		all.Name, all.MaxEntries = "all", 4096
		out := maps.Spec{Name: "out", Type: maps.Array, KeySize: 4, ValueSize: 24 + stackBuf, MaxEntries: 1}
		for _, e := range usable(t) {
			theirs := make([]*oracle.Map, 3)
			for i, s := range []*maps.Spec{&spec, &all, &out} {
				m, err := oracle.NewMap(s, nil)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(m.Close)
				theirs[i] = m
			}
			kernel, log, err := oracle.Load(oracle.LoadOptions{Type: oracle.RawTracepoint, Insns: assemble(t, text), Maps: theirs})
			if err != nil {
				t.Fatalf("%v\n%s", err, log)
			}
			t.Cleanup(kernel.Close)
			w := &stackWalker{}
			p, err := prog.FromInsns("p", linux.RawTracepoint, assemble(t, text), []*maps.Spec{&spec, &all, &out})
			if err != nil {
				t.Fatal(err)
			}
			c, err := vm.LoadProgram(p, vm.Options{Engine: e, Host: helpers.Host{Platform: &linux.Host{Stack: linux.Stack{Walk: w.walk, BuildID: w.buildID}}}})
			if err != nil {
				t.Fatal(err)
			}
			r := rand.New(rand.NewPCG(uint64(spec.ValueSize), uint64(spec.MaxEntries)))
			zero := make([]byte, 4)
			for step := range steps {
				skip := uint64(r.IntN(12))
				if r.IntN(12) == 0 {
					skip = uint64(120 + r.IntN(136))
				}
				idFlags := skip | uint64([]int{0, 0, 1 << 8, 1 << 8, 1 << 9, 1<<8 | 1<<9, 1 << 10, 1<<8 | 1<<10, 1 << 11, 1 << 12}[r.IntN(10)])
				copyFlags := skip | uint64([]int{0, 1 << 8, 1<<8 | 1<<11, 1 << 11, 1 << 9, 1 << 12}[r.IntN(6)])
				if spec.Flags&maps.StackBuildID != 0 { // addresses are known of the user's stack only, by get_stack
					idFlags |= 1 << 8
					copyFlags = skip | 1<<8
				}
				ctx := binary.NativeEndian.AppendUint64(binary.NativeEndian.AppendUint64(nil, idFlags), copyFlags)
				deep(r.IntN(4), func() { _, err = kernel.Run(oracle.RunInput{Ctx: ctx}) })
				if err != nil {
					t.Fatal(err)
				}
				want, got := make([]byte, out.ValueSize), make([]byte, out.ValueSize)
				if err := theirs[2].Lookup(zero, want, 0); err != nil {
					t.Fatal(err)
				}
				w.learn(t, theirs[1], &spec, want, int(skip), copyFlags)
				if _, err := c.Program("p").Run(ctx); err != nil {
					t.Fatal(err)
				}
				if err := c.Map("out").Lookup(zero, got); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, want) {
					t.Fatalf("%+v, %s, step %d, flags %#x, %#x: %v, the kernel: %v\n%x\n%x", spec, e, step, idFlags, copyFlags,
						callResults(got), callResults(want), got[24:], want[24:])
				}
				for _, r := range callResults(want) {
					outcomes[fmt.Sprint(min(r, 0))]++
				}
				if r.IntN(6) == 0 { // forget one
					key := word(r.Uint32N(spec.MaxEntries + 2))
					if g, k := r0Of(c.Map("m").Delete(key)), r0Of(theirs[0].Delete(key)); g != k {
						t.Fatalf("%+v: delete %x: %d, the kernel: %d", spec, key, int64(g), int64(k))
					}
				}
			}
			if err := sameTraces(c.Map("m"), theirs[0], &spec); err != nil {
				t.Fatalf("%+v, %s: %v", spec, e, err)
			}
			c.Close()
		}
	}
	t.Logf("results: %v", outcomes)
	for _, r := range []string{"0", "-14", "-17", "-22"} {
		if outcomes[r] == 0 {
			t.Errorf("no call gave %s: %v", r, outcomes)
		}
	}
}

func callResults(out []byte) (r [3]int64) {
	for i := range r {
		r[i] = int64(binary.NativeEndian.Uint64(out[8*i:]))
	}
	return r
}

// deep calls f n frames further down, of which each has its own address.
//
//go:noinline
func deep(n int, f func()) {
	switch n {
	case 0:
		f()
	case 1:
		deep(0, f)
	default:
		deep(n-1, f)
	}
}

// A stackWalker has the stacks that the kernel saw.
type stackWalker struct {
	calls  int
	stacks [3][]uint64 // of the three calls; nil: none
	ids    map[uint64][]byte
}

func (w *stackWalker) walk(_ helpers.Env, task any, _ linux.Space, ips []uint64) (int, bool) {
	s := w.stacks[w.calls%3]
	w.calls++
	copy(ips, s)
	return len(s), s != nil && task == nil
}

func (w *stackWalker) buildID(_ helpers.Env, ip uint64) (id [20]byte, offset uint64, ok bool) {
	e := w.ids[ip]
	if e == nil || binary.NativeEndian.Uint32(e) != 1 {
		return id, 0, false
	}
	return [20]byte(e[4:]), binary.NativeEndian.Uint64(e[24:]), true
}

// learn takes the stacks from what the kernel left in its map of all traces and in
// its output. Frames that were skipped may be any.
func (w *stackWalker) learn(t *testing.T, all *oracle.Map, spec *maps.Spec, out []byte, skip int, copyFlags uint64) {
	t.Helper()
	w.calls, w.stacks, w.ids = 0, [3][]uint64{}, map[uint64][]byte{}
	r := callResults(out)
	before := make([]uint64, skip)
	each := int(spec.StackEntry())
	if r[2] >= 0 {
		w.stacks[2] = before[:skip:skip]
		size := 8
		if copyFlags&(1<<11) != 0 {
			size = 32
		}
		for i := range int(r[2]) / size {
			e := out[24+size*i:][:size]
			ip := binary.NativeEndian.Uint64(e[size-8:])
			if size == 32 && binary.NativeEndian.Uint32(e) == 1 { // a place in a file: the address does not show
				ip = uint64(i) + 1<<20
				w.ids[ip] = e
			}
			w.stacks[2] = append(w.stacks[2], ip)
		}
	}
	if r[1] < 0 {
		if r[0] == -22 {
			w.calls = 2 // the first two are refused before they look
		}
		return
	}
	trace := make([]byte, spec.ValueSize)
	if err := all.Lookup(word(uint32(r[1])), trace, 0); err != nil {
		t.Fatal(err)
	}
	s := before[:skip:skip]
	for i := 0; i < len(trace); i += each {
		if each == 8 {
			ip := binary.NativeEndian.Uint64(trace[i:])
			if ip == 0 {
				break
			}
			s = append(s, ip)
			continue
		}
		if binary.NativeEndian.Uint32(trace[i:]) == 0 {
			break
		}
		ip := w.stacks[2][skip+i/each]
		w.ids[ip] = trace[i : i+each]
		s = append(s, ip)
	}
	w.stacks[0], w.stacks[1] = s, s
}

// sameTraces compares the contents of two maps of traces.
func sameTraces(ours maps.Map, theirs *oracle.Map, spec *maps.Spec) error {
	var at []byte
	for n := 0; n < 100; n++ {
		a, b := make([]byte, 4), make([]byte, 4)
		e1, e2 := ours.NextKey(at, a), theirs.NextKey(at, b)
		if r0Of(e1) != r0Of(e2) || !bytes.Equal(a, b) {
			return fmt.Errorf("after %x: %x, %v; the kernel: %x, %v", at, a, e1, b, e2)
		}
		if e1 != nil {
			return nil
		}
		v1, v2 := make([]byte, spec.ValueSize), make([]byte, spec.ValueSize)
		e1, e2 = ours.Lookup(a, v1), theirs.Lookup(a, v2, 0)
		if r0Of(e1) != r0Of(e2) || !bytes.Equal(v1, v2) {
			return fmt.Errorf("trace %x: %x, %v; the kernel: %x, %v", a, v1, e1, v2, e2)
		}
		at = a
	}
	return nil
}

// r0Of returns err as a helper's result.
func r0Of(err error) uint64 { return helpers.Result(err) }

// TestStackNeedsHost: a program that walks a stack is refused where there is none.
func TestStackNeedsHost(t *testing.T) {
	p, err := prog.FromInsns("p", linux.RawTracepoint, assemble(t, "r2 = map[0]\nr3 = 0\ncall 27\nr0 = 0\nexit"),
		[]*maps.Spec{{Name: "m", Type: maps.StackTrace, KeySize: 4, ValueSize: 8, MaxEntries: 1}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := vm.LoadProgram(p, vm.Options{}); err == nil || !strings.Contains(err.Error(), "linux.Host.Stack.Walk") {
		t.Errorf("loaded: %v", err)
	}
}

package vm_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
	"github.com/skepvm/skep/vm"
)

// costly is a program whose proof takes long beside everything else.
const costly = "r2 = *(u32 *)(r1 +4)\nr1 = *(u32 *)(r1 +0)\nr0 = 0\nr3 = 0\nr4 = r1\nr4 += 1\nif r4 > r2 goto +5\nr5 = *(u8 *)(r1 +0)\nr0 += r5\nr1 += 1\nr3 += 1\nif r3 < 2000 goto -8\n" +
	"r1 = map[0][0]+0\nr1 = *(u64 *)(r1 +0)\nr0 += r1\nexit"

// TestProofsAreShared loads the same content again and again: it is proven
// once, each program uses its own maps, and what differs is not the same.
func TestProofsAreShared(t *testing.T) {
	needCompiler(t)
	spec := func() *maps.Spec { return sum64() }
	load := func(s *maps.Spec, o vm.Options) (*vm.Collection, time.Duration) {
		p, err := prog.FromInsns("p", packetType, assemble(t, costly), []*maps.Spec{s})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		c, err := vm.LoadProgram(p, o)
		if err != nil {
			t.Fatal(err)
		}
		d := time.Since(start)
		t.Cleanup(func() { c.Close() })
		return c, d
	}
	first, slow := load(spec(), compiled)
	again := slow
	for i := range uint64(5) {
		c, d := load(spec(), compiled)
		again = min(again, d)
		value := []byte{byte(i), 0, 0, 0, 0, 0, 0, 0}
		if err := c.Map("sum").Update(make([]byte, 4), value, maps.Any); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Program("p").Run([]byte{10}); got != 10+i || err != nil {
			t.Errorf("instance %d: %d, %v", i, got, err)
		}
	}
	if got, err := first.Program("p").Run([]byte{10}); got != 10 || err != nil {
		t.Errorf("the first instance: %d, %v", got, err)
	}
	t.Logf("first %v, later %v", slow, again)
	if again > slow/3 {
		t.Errorf("the first load took %v, a later one %v", slow, again)
	}
}

// TestProofsDiffer: what a proof depends on is part of what makes programs the
// same.
func TestProofsDiffer(t *testing.T) {
	loads := func(name string, o vm.Options, text string, ms ...*maps.Spec) error {
		p, err := prog.FromInsns(name, packetType, assemble(t, text), ms)
		if err != nil {
			t.Fatal(err)
		}
		c, err := vm.LoadProgram(p, o)
		if err != nil {
			return err
		}
		t.Cleanup(func() { c.Close() }) // the proof stays known
		return nil
	}
	code := func(err error) verifier.Code {
		var e *verifier.Error
		if err != nil && !errors.As(err, &e) {
			t.Fatal(err)
		}
		if e == nil {
			return ""
		}
		return e.Code
	}
	frozen := func(v byte) *maps.Spec {
		return &maps.Spec{Name: ".rodata", Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1, Flags: maps.ReadOnlyProg, Frozen: true,
			Contents: []maps.Entry{{Key: make([]byte, 4), Value: []byte{v, 0, 0, 0, 0, 0, 0, 0}}}}
	}
	big := sum64()
	big.ValueSize = 16
	const rodata = "r1 = map[0][0]+0\nr1 = *(u64 *)(r1 +0)\nif r1 == 1 goto +1\nr0 = *(u64 *)(r9 +0)\nr0 = 0\nexit"
	const value = "r1 = map[0][0]+0\nr0 = *(u64 *)(r1 +8)\nexit"
	const stack = "r0 = *(u64 *)(r10 -8)\nr0 = 1\nexit"
	const call = "call 5000\nr0 = *(u64 *)(r0 +8)\nexit"
	returns := func(size uint32) vm.Options {
		return vm.Options{Helpers: map[helpers.ID]*helpers.Func{5000: {Name: "gives", Proto: helpers.Proto{Ret: helpers.Ret{Kind: helpers.RetMem, Size: size}},
			Impl: func(env helpers.Env, _, _, _, _, _ uint64) uint64 { return env.Share(make([]byte, size)) }}}}
	}
	for _, tc := range []struct {
		name string
		good error
		bad  error
	}{
		{"frozen contents", loads("a", vm.Options{}, rodata, frozen(1)), loads("a", vm.Options{}, rodata, frozen(2))},
		{"value size", loads("b", vm.Options{}, value, big), loads("b", vm.Options{}, value, sum64())},
		{"rules", loads("c", vm.Options{}, stack), loads("c", vm.Options{Rules: verifier.Options{Strict: true}}, stack)},
		{"contract", loads("d", returns(16), call), loads("d", returns(8), call)},
		{"instructions", loads("e", vm.Options{}, "r0 = 1\nexit"), loads("e", vm.Options{}, "r0 = r1\nr0 = *(u64 *)(r0 +100)\nexit")},
	} {
		if code(tc.good) != "" || code(tc.bad) == "" {
			t.Errorf("%s: %v; %v, which should be refused", tc.name, tc.good, tc.bad)
		}
	}
}

// TestLoadContext ends a load that takes long.
func TestLoadContext(t *testing.T) {
	text := "r0 = 0\n"
	for range 40 { // each doubles the paths
		text += "r2 = *(u32 *)(r1 +12)\nif r2 > 7 goto +1\nr0 += r2\n"
	}
	obj := &prog.Object{Programs: []*prog.Spec{verifySpec(t, "p", "r0 = 2\nexit"), verifySpec(t, "q", text+"exit")}}
	cause := errors.New("no time")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err := vm.LoadContext(ctx, obj, vm.Options{}); !errors.Is(err, cause) {
		t.Errorf("cancelled before: %v", err)
	}
	c, err := vm.LoadContext(t.Context(), obj, vm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

package vm_test

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/execmem"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
	"github.com/skepvm/skep/vm"
)

const unchecked = "r1 = *(u32 *)(r1 +0)\nr0 = *(u8 *)(r1 +0)\nexit"

func verifySpec(t *testing.T, name, text string) *prog.Spec {
	return &prog.Spec{Name: name, Section: "xdp", Type: linux.XDP, Func: &prog.Func{Name: name, Section: "xdp", Insns: assemble(t, text)}}
}

// TestVerifyRequire loads an object of which one program is unsafe.
func TestVerifyRequire(t *testing.T) {
	obj := &prog.Object{Programs: []*prog.Spec{verifySpec(t, "good", "r0 = 2\nexit"), verifySpec(t, "bad", unchecked)}}
	c, err := vm.Load(obj, vm.Options{Verify: vm.VerifyRequire})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if r0, err := c.Program("good").Run(nil); r0 != 2 || err != nil {
		t.Errorf("the good program: %d, %v", r0, err)
	}
	var e *verifier.Error
	if !errors.As(c.Err("bad"), &e) || e.Code != verifier.OutOfBounds || e.PC != 1 {
		t.Errorf("the bad program: %v", c.Err("bad"))
	}
	if _, err := c.Program("bad").Run([]byte{7}); !errors.As(err, &e) {
		t.Errorf("a run of the bad program: %v", err)
	}
	if _, err := vm.Load(obj, vm.Options{Verify: vm.VerifyRequire, RequireAll: true}); !errors.As(err, &e) {
		t.Errorf("with RequireAll: %v", err)
	}

}

// TestVerifyAuto: by default every engine but the checked interpreter needs a
// proof; a host can have unproven programs checked instead.
func TestVerifyAuto(t *testing.T) {
	obj := &prog.Object{Programs: []*prog.Spec{verifySpec(t, "good", "r0 = 2\nexit"), verifySpec(t, "bad", unchecked)}}
	for _, tc := range []struct {
		name string
		o    vm.Options
		runs bool // bad does
		good vm.Engine
	}{
		{"default", vm.Options{}, false, best()},
		{"optional", vm.Options{Verify: vm.VerifyOptional}, true, best()},
		{"checked", vm.Options{Engine: vm.Checked}, true, vm.Checked},
		{"checked, optional", vm.Options{Engine: vm.Checked, Verify: vm.VerifyOptional}, true, vm.Checked},
		{"checked, proven", vm.Options{Engine: vm.Checked, Verify: vm.VerifyRequire}, false, vm.Checked},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := vm.Load(obj, tc.o)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if e, why := c.Program("good").Engine(); e != tc.good || e == vm.JIT && why != "" {
				t.Errorf("the good program runs in %s: %s", e, why)
			}
			if r0, err := c.Program("good").Run(nil); r0 != 2 || err != nil {
				t.Errorf("the good program: %d, %v", r0, err)
			}
			bad := c.Program("bad")
			if !tc.runs {
				var e *verifier.Error
				if !errors.As(bad.Err(), &e) || e.Code != verifier.OutOfBounds {
					t.Errorf("the bad program: %v", bad.Err())
				}
				return
			}
			if r0, err := bad.Run([]byte{7}); r0 != 7 || err != nil {
				t.Errorf("the bad program: %d, %v", r0, err)
			}
			var f *vm.Fault
			if _, err := bad.Run(nil); !errors.As(err, &f) {
				t.Errorf("the bad program without a packet: %v", err)
			}
			e, why := bad.Engine()
			if want := "0 bytes are proven"; e != vm.Checked || tc.o.Engine == vm.Auto && !strings.Contains(why, want) {
				t.Errorf("the bad program runs in %s: %s; want %s", e, why, want)
			}
		})
	}
}

// best returns the engine that Auto means for a program that can run in any.
func best() vm.Engine {
	if execmem.Default && execmem.Available() == nil {
		return vm.JIT
	}
	return vm.Interp
}

// TestVerifyRules checks that the rules arrive, and decide about the stack.
func TestVerifyRules(t *testing.T) {
	text := "r0 = *(u64 *)(r10 -8)\nr0 = 1\nexit"
	p, err := prog.FromInsns("p", linux.XDP, assemble(t, text), nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := vm.LoadProgram(p, vm.Options{Verify: vm.VerifyRequire})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if r0, err := c.Program("p").Run(nil); r0 != 1 || err != nil {
		t.Errorf("got %d, %v: what the verifier accepts must run", r0, err)
	}
	var e *verifier.Error
	_, err = vm.LoadProgram(p, vm.Options{Verify: vm.VerifyRequire, Rules: verifier.Options{Strict: true}})
	if !errors.As(err, &e) || e.Code != verifier.UninitStack {
		t.Errorf("strict: %v", err)
	}
}

// TestVerifyHostFunctions verifies calls of the host's own functions by their
// contracts.
func TestVerifyHostFunctions(t *testing.T) {
	double := &helpers.Func{
		Name:  "double",
		Proto: helpers.Proto{Args: [5]helpers.Arg{{Kind: helpers.ArgAnything}}, Ret: helpers.Ret{Kind: helpers.RetInteger, Min: 0, Max: 63}},
		Impl:  func(_ helpers.Env, a, _, _, _, _ uint64) uint64 { return a * 2 & 63 },
	}
	text := "r1 = 5\ncall 5000\nr1 = r10\nr1 += -64\nr1 += r0\n*(u8 *)(r1 +0) = 1\nexit"
	p, err := prog.FromInsns("p", linux.XDP, assemble(t, text), nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := vm.LoadProgram(p, vm.Options{Verify: vm.VerifyRequire, Helpers: map[helpers.ID]*helpers.Func{5000: double}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if r0, err := c.Program("p").RunContext(context.Background(), nil); r0 != 10 || err != nil {
		t.Errorf("got %d, %v", r0, err)
	}
	double.Proto.Ret.Max = 64
	var e *verifier.Error
	if _, err = vm.LoadProgram(p, vm.Options{Verify: vm.VerifyRequire, Helpers: map[helpers.ID]*helpers.Func{5000: double}}); !errors.As(err, &e) || e.Code != verifier.OutOfBounds {
		t.Errorf("a result too large for the stack: %v", err)
	}
}

// TestVerifyReplacedMap replaces a frozen map, whose contents the verifier would
// else take for constants, by one that holds something else.
func TestVerifyReplacedMap(t *testing.T) {
	value := func(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }
	rodata := &maps.Spec{
		Name: ".rodata", Type: maps.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1, Flags: maps.ReadOnlyProg, Frozen: true,
		Contents: []maps.Entry{{Key: value(0), Value: value(8)}},
	}
	text := "r1 = map[0][0]+0\nr1 = *(u32 *)(r1 +0)\nr2 = r10\nr2 -= r1\n*(u64 *)(r2 +0) = 1\nr0 = 2\nexit"
	p, err := prog.FromInsns("p", linux.XDP, assemble(t, text), []*maps.Spec{rodata})
	if err != nil {
		t.Fatal(err)
	}
	c, err := vm.LoadProgram(p, vm.Options{Verify: vm.VerifyRequire})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	other := *rodata
	other.Contents = []maps.Entry{{Key: value(0), Value: value(0)}}
	m, err := maps.New(&other)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var e *verifier.Error
	_, err = vm.LoadProgram(p, vm.Options{Verify: vm.VerifyRequire, Maps: map[string]maps.Map{".rodata": m}})
	if !errors.As(err, &e) {
		t.Errorf("accepted with another map's contents: %v", err)
	}
}

package vm_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/skepvm/skep/elf"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// TestMisuse passes what callers have by mistake: each is an error, not a
// panic.
func TestMisuse(t *testing.T) {
	closed := load(t, packetType, "r0 = 0\nexit", vm.Options{})
	open := load(t, packetType, "r0 = 0\nexit", vm.Options{})
	point := vm.NewHook(packetType, vm.HookOptions{})
	link, err := point.Attach(closed.Program("p"), vm.AttachOptions{})
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for name, f := range map[string]func() error{
		"no object":           func() error { _, err := vm.Load(nil, vm.Options{}); return err },
		"no program":          func() error { _, err := vm.LoadProgram(nil, vm.Options{}); return err },
		"no type":             func() error { _, err := vm.LoadProgram(&prog.Program{}, vm.Options{}); return err },
		"not linked":          func() error { _, err := vm.LoadProgram(&prog.Program{Type: packetType}, vm.Options{}); return err },
		"no reader":           func() error { _, err := elf.Load(nil, "x.o", elf.Options{}); return err },
		"no map spec":         func() error { _, err := maps.New(nil); return err },
		"a hook without type": func() error { return attach(vm.NewHook(nil, vm.HookOptions{}), open.Program("p")) },
		"closed: attach":      func() error { return attach(point, closed.Program("p")) },
		"closed: update":      func() error { return link.Update(closed.Program("p")) },
		"closed: run":         func() error { _, err := point.Run(nil); return err },
		"wrong input":         func() error { _, err := open.Program("p").Run("text"); return err },
		"packet out of order": func() error { _, err := open.Program("p").Run(&vm.Packet{Head: 1}); return err },
		"no hook struct":      func() error { _, err := hook.Define[*int]("x"); return err },
	} {
		if err := f(); err == nil {
			t.Errorf("%s: no error", name)
		} else if strings.HasPrefix(name, "closed") && !errors.Is(err, vm.ErrClosed) {
			t.Errorf("%s: %v, want ErrClosed", name, err)
		}
	}
	if err := link.Update(open.Program("p")); err != nil {
		t.Errorf("a closed program replaced: %v", err)
	}
}

func attach(h *vm.Hook, p *vm.Program) error {
	_, err := h.Attach(p, vm.AttachOptions{})
	return err
}

// TestUnknownHelperInSubprogram checks the place that the error names: slots
// count from the start of the function.
func TestUnknownHelperInSubprogram(t *testing.T) {
	p, err := prog.FromInsns("p", packetType, assemble(t, "r0 = 0\ncall f\nexit\nf: r0 = 1\ncall 9999\nexit"), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = vm.LoadProgram(p, unproven)
	var e *prog.Error
	if !errors.As(err, &e) || e.Func != p.Funcs[1].Name || e.PC != 1 || e.Insn.Imm != 9999 {
		t.Errorf("%v; want slot 1 of %s", err, p.Funcs[1].Name)
	}
}

// TestTailCallToClosed: a program of a closed collection runs no more, not by
// way of another collection's prog array either.
func TestTailCallToClosed(t *testing.T) {
	array := &maps.Spec{Name: "progs", Type: maps.ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 1}
	c := load(t, packetType, "r2 = map[0]\nr3 = 0\ncall 12\nr0 = 1\nexit", vm.Options{}, array)
	target := load(t, packetType, "r0 = 2\nexit", vm.Options{})
	if err := c.Map("progs").(maps.ProgramArray).Store(0, target.Program("p")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []uint64{2, 1} {
		if r0, err := c.Program("p").Run(nil); r0 != want || err != nil {
			t.Errorf("R0 = %d, %v; want %d", r0, err, want)
		}
		target.Close()
	}
}

package linux

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/internal/oracle"
)

// lastHelper is the highest number; kfuncs have taken over since.
const lastHelper = 211

// TestHelperNames compares numbers and names with the kernel's header.
func TestHelperNames(t *testing.T) {
	header, err := os.ReadFile("/usr/include/linux/bpf.h")
	if err != nil {
		t.Skip("no kernel headers here:", err)
	}
	names := regexp.MustCompile(`\n\tFN\((\w+)(?:, \d+, ##ctx)?\)`).FindAllSubmatch(header, -1)
	if len(names) < 200 {
		t.Fatalf("%d helpers in the header", len(names))
	}
	for i, m := range names {
		if i == 0 || i > lastHelper {
			continue
		}
		for _, set := range []*helpers.Set{known, SchedCls.Helpers, XDP.Helpers, SkReuseport.Helpers} {
			if f := set.Helper(helpers.ID(i)); f != nil && f.Name != string(m[1]) {
				t.Errorf("helper %d is called %q, in the header %q", i, f.Name, m[1])
			}
		}
	}
}

// TestHelpersKernel compares with the kernel's verdicts, for each type and each
// number: whether programs may call the helper, whether only GPL ones may, and
// how many arguments it takes.
func TestHelpersKernel(t *testing.T) {
	oracle.Skip(t)
	for _, k := range kernelTypes {
		if testing.Short() && k.typ != XDP {
			continue
		}
		if testing.Short() {
			t.Log("short: only xdp")
		}
		name := k.typ.Name
		if k.typ.Attach != "" {
			name += "/" + k.typ.Attach
		}
		t.Run(name, func(t *testing.T) {
			for id := helpers.ID(1); id <= lastHelper; id++ {
				f := k.typ.Helpers.Helper(id)
				_, log, _ := k.load(bareCall(id), true)
				may := !strings.Contains(log, "program of this type cannot use helper") && !strings.Contains(log, "unknown func") && !strings.Contains(log, "invalid func")
				if id == 36 || id == 58 { // depend on the kernel's configuration
					continue
				}
				if may != (f != nil) {
					t.Errorf("helper %d: we allow it: %v, the kernel: %v", id, f != nil, may)
					continue
				}
				if f == nil {
					continue
				}
				p, err := ebpf.NewProgramWithOptions(&ebpf.ProgramSpec{Type: k.kernel, AttachType: k.attach, Flags: k.flags, License: "MIT", Instructions: bareCall(id)}, ebpf.ProgramOptions{})
				if err == nil {
					p.Close()
				}
				if restricted := err != nil && strings.Contains(err.Error(), "GPL-restricted"); restricted != f.Proto.GPL {
					t.Errorf("%s: GPL only: %v, the kernel: %v", f.Name, f.Proto.GPL, restricted)
				}
				if sleeps := strings.Contains(log, "might sleep"); sleeps != f.Proto.MightSleep && k.flags == 0 {
					t.Errorf("%s: might sleep: %v, the kernel: %v", f.Name, f.Proto.MightSleep, sleeps)
				}
				if !strings.Contains(log, "might sleep") && !strings.Contains(log, "not allowed in probe") {
					checkArgs(t, &k, id, f)
				}
			}
		})
	}
}

// bareCall calls id with the context in R1 and nothing in R2 to R5.
func bareCall(id helpers.ID) asm.Instructions {
	return asm.Instructions{asm.BuiltinFunc(id).Call(), asm.Mov.Imm(asm.R0, 0), asm.Return()}
}

// checkArgs offers the kernel one argument more at a time, each of the kind
// that our prototype asks for. It must want the next one as long as there is
// one, and then no more. Kinds that need a map, BTF or an object end the check.
func checkArgs(t *testing.T, k *kernelType, id helpers.ID, f *helpers.Func) {
	t.Helper()
	insns := asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.Mov.Imm(asm.R2, 0),
		asm.StoreMem(asm.R10, -64, asm.R2, asm.DWord),
		asm.BuiltinFunc(5).Call(), // leaves R1 to R5 unreadable
	}
	n := f.Proto.NumArgs()
	for i := 0; ; i++ {
		reg := asm.R1 + asm.Register(i)
		_, log, err := k.load(append(insns[:len(insns):len(insns)], bareCall(id)...), true)
		wants := i < 5 && strings.Contains(log, "R"+string(rune('1'+i))+" !read_ok")
		switch {
		case wants && i >= n:
			t.Errorf("%s: the kernel wants argument %d; we have %d", f.Name, i+1, n)
			return
		case !wants && i < n:
			t.Errorf("%s: after %d arguments the kernel does not want another; we have %d (%v)", f.Name, i, n, err)
			return
		case i == n:
			return
		}
		a := f.Proto.Args[i]
		switch a.Kind {
		case helpers.ArgAnything:
			insns = append(insns, asm.Mov.Imm(reg, 0))
		case helpers.ArgCtx:
			insns = append(insns, asm.Mov.Reg(reg, asm.R6))
		case helpers.ArgMem:
			insns = append(insns, asm.Mov.Reg(reg, asm.R10), asm.Add.Imm(reg, -64))
		case helpers.ArgSize, helpers.ArgSizeOrZero, helpers.ArgConstAllocSize:
			insns = append(insns, asm.Mov.Imm(reg, 8))
		default:
			return
		}
	}
}

// TestRegistration counts on package initialisation: a prototype that
// contradicts itself would panic there. It checks that every type has one
// contract per number, and the types that share a context the same.
func TestRegistration(t *testing.T) {
	for _, typ := range append(Platform.Types(), XDPDevmap, cgroupSkbEgress, cgroupSetsockopt) {
		for _, id := range typ.Helpers.IDs() {
			if err := typ.Helpers.Helper(id).Check(); err != nil {
				t.Errorf("%s: %v", typ.Name, err)
			}
		}
		if typ.Input == hook.InputPacket && typ.Helpers.Helper(12) == nil {
			t.Errorf("%s: no tail_call", typ.Name)
		}
	}
}

// TestMissing checks that what has no body says what it needs, and that nothing
// else is said to have none.
func TestMissing(t *testing.T) {
	bodiless := map[string]bool{}
	for _, typ := range Types() {
		for _, id := range typ.Helpers.IDs() {
			f := typ.Helpers.Helper(id)
			if f.Impl != nil || f.Proto.Control == helpers.TailCall {
				continue
			}
			bodiless[f.Name] = true
			if f.Missing(nil) == "" {
				t.Errorf("%s: helper %d, %s, has no body and does not say why", typ.Name, id, f.Name)
			}
		}
	}
	for name := range missing {
		if !bodiless[name] {
			t.Errorf("%s has a body wherever it can be called, and yet it is said to be missing one", name)
		}
	}
}

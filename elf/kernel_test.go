package elf_test

import (
	"slices"
	"testing"

	ciliumbtf "github.com/cilium/ebpf/btf"

	"github.com/skepvm/skep/elf"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// TestKernelAccepts gives every program of the test objects that a kernel can
// run to the running one: its verifier checks what the reader and the linker
// made of calls, map references, data and relocated types. Programs that
// return a constant are run too.
func TestKernelAccepts(t *testing.T) {
	oracle.Skip(t)
	target, err := ciliumbtf.LoadSpec(dir + "core_target.o")
	if err != nil {
		t.Fatal(err)
	}
	opts := elf.Options{
		BTF: target, Ksyms: map[string]uint64{"untyped": 1, "typed": 2, "missing": 3},
		Kconfig: map[string]string{
			"LINUX_KERNEL_VERSION": "0x60c01", "CONFIG_BPF": "y", "CONFIG_VETH": "m", "CONFIG_LETTER": "n",
			"CONFIG_NAME": `"x"`, "CONFIG_BIG": "1", "CONFIG_NEGATIVE": "-2", "CONFIG_NEEDED": "5",
		},
	}
	types := map[string]uint32{"xdp": oracle.XDP, "socket_filter": oracle.SocketFilter, "sched_cls": oracle.SchedCls}
	results := map[string]uint32{
		"version": 0x60c01, "needs": 5, "x_off": 12, "array_off": 24, "z_lshift": 43, "present_size": 40,
		"typedef_exists": 1, "blue_value": 7, "green_exists": 2, "poisoned": 77,
	}
	loaded, ran := 0, 0
	for _, object := range []string{
		"xdp.o", "subprogs.o", "maps.o", "legacy.o", "nobtf.o", "iproute2.o", "data.o", "kconfig.o", "core.o", "stripped.o",
		"isa_v1.o", "isa_v2.o", "isa_v3.o", "isa_v4.o",
	} {
		obj := open(t, object, opts)
		for _, s := range obj.Programs {
			p, err := obj.Link(s)
			if err != nil {
				t.Error(err)
				continue
			}
			typ := uint32(oracle.SchedCls) // what iproute2 takes sections without a type for
			if s.Type != nil {
				typ = types[s.Type.Name]
			}
			if s.Name == "byte_off" {
				continue // reads a context as another struct
			}
			kernel, log, err := oracle.Load(oracle.LoadOptions{Type: typ, Insns: kernelInsns(p), Maps: kernelMaps(t, p)})
			if err != nil {
				t.Errorf("%s: %s: %v\n%s", object, s.Name, err, log)
				continue
			}
			loaded++
			if want, ok := results[s.Name]; ok {
				got, err := kernel.Run(oracle.RunInput{Data: make([]byte, 64)})
				if err != nil || got.Retval != want {
					t.Errorf("%s: %s: returned %d, %v; want %d", object, s.Name, got.Retval, err, want)
				}
				ran++
			}
			kernel.Close()
		}
	}
	t.Logf("%d programs loaded, %d run", loaded, ran)
}

// kernelInsns returns p's instructions as the kernel takes them: addresses of
// subprograms are distances.
func kernelInsns(p *prog.Program) []prog.Insn {
	insns := slices.Clone(p.Insns)
	for pc := range insns {
		if in := &insns[pc]; in.IsWide() && in.Src == isa.PseudoFunc {
			in.Imm -= int32(pc) + 1
		}
	}
	return insns
}

// kernelMaps makes the maps of p, with what they start with.
func kernelMaps(t *testing.T, p *prog.Program) []*oracle.Map {
	t.Helper()
	out := []*oracle.Map{}
	for _, spec := range p.Maps {
		var inner *oracle.Map
		if spec.Inner != nil {
			inner = kernelMap(t, spec.Inner, nil)
		}
		m := kernelMap(t, spec, inner)
		for _, e := range spec.Contents {
			if e.Value == nil {
				continue // programs and maps: not needed to load
			}
			if err := m.Update(e.Key, e.Value, maps.Any); err != nil {
				t.Fatalf("%s: %v", spec.Name, err)
			}
		}
		if spec.Frozen {
			if err := m.Freeze(); err != nil {
				t.Fatalf("%s: %v", spec.Name, err)
			}
		}
		out = append(out, m)
	}
	return out
}

func kernelMap(t *testing.T, spec *maps.Spec, inner *oracle.Map) *oracle.Map {
	t.Helper()
	s := *spec
	s.Flags &^= maps.NUMANode
	m, err := oracle.NewMap(&s, inner)
	if err != nil {
		t.Fatalf("%s: %v", spec.Name, err)
	}
	t.Cleanup(m.Close)
	return m
}

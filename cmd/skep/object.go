package main

import (
	"fmt"
	"os"
	"strings"

	ciliumbtf "github.com/cilium/ebpf/btf"
	"github.com/spf13/cobra"

	"github.com/skepvm/skep/elf"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/prog"
)

// objectFlags are the flags of every command that reads an object.
type objectFlags struct {
	program  string
	typeName string
	platform string
	btf      string
	kconfig  string
	hook     string
}

func (o *objectFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.program, "program", "", "the `NAME` of the program, if the object has several")
	f.StringVar(&o.typeName, "type", "", "program `TYPE`, such as xdp; default: what the section name means")
	f.StringVar(&o.hook, "hook", "", "`FILE` that describes a host's hook (JSON), whose type programs then have")
	f.StringVar(&o.platform, "platform", "linux", "`PLATFORM` that names types and helpers")
	f.StringVar(&o.btf, "btf", "", "`FILE` with the BTF that CO-RE relocations are resolved against")
	f.StringVar(&o.kconfig, "kconfig", "", "`FILE` with the kernel configuration that programs read (CONFIG_X=y); default: LINUX_KERNEL_VERSION is 6.18")
}

// open reads the object called name with what the flags say about it: the type
// that --type names goes to every program, or to the one that --program names;
// the type that --hook describes to those in its sections and in sections that
// mean no type.
func (o *objectFlags) open(name string) (*prog.Object, error) {
	opts, err := o.options()
	if err != nil {
		return nil, err
	}
	described, err := o.addHook(&opts)
	if err != nil {
		return nil, err
	}
	chosen, err := o.chosenType(opts.Platform)
	if err != nil {
		return nil, err
	}
	obj, err := elf.Open(name, opts)
	if err != nil {
		return nil, err
	}
	if o.program != "" {
		if _, err := choose(obj, o.program); err != nil {
			return nil, err
		}
	}
	for _, s := range obj.Programs {
		switch {
		case chosen != nil && (o.program == "" || s.Name == o.program):
			s.Type = chosen
		case s.Type == nil:
			s.Type = described
		}
	}
	return obj, nil
}

// chosenType returns the type that --type names; nil without --type.
func (o *objectFlags) chosenType(p hook.Platform) (*hook.Type, error) {
	if o.typeName == "" {
		return nil, nil
	}
	t := p.Type(o.typeName)
	if t == nil {
		return nil, fmt.Errorf("program type %q is unknown; there are %s", o.typeName, typeNames(p))
	}
	return t, nil
}

// addHook adds the type that --hook describes to the platform, and returns it;
// nil without --hook.
func (o *objectFlags) addHook(opts *elf.Options) (*hook.Type, error) {
	if o.hook == "" {
		return nil, nil
	}
	b, err := readFile(o.hook)
	if err != nil {
		return nil, err
	}
	t, err := hook.ParseDescription(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.hook, err)
	}
	opts.Platform, err = hook.Extend(opts.Platform, t)
	return t, err
}

func (o *objectFlags) options() (opts elf.Options, err error) {
	if o.platform != "linux" {
		return opts, fmt.Errorf("platform %q is unknown; there is linux", o.platform)
	}
	opts.Platform = linux.Platform
	if o.btf != "" {
		if opts.BTF, err = ciliumbtf.LoadSpec(o.btf); err != nil {
			return opts, fmt.Errorf("%s: %w", o.btf, err)
		}
	}
	if o.kconfig != "" {
		f, err := os.Open(o.kconfig)
		if err != nil {
			return opts, err
		}
		defer f.Close()
		if opts.Kconfig, err = elf.ReadKconfig(f); err != nil {
			return opts, fmt.Errorf("%s: %w", o.kconfig, err)
		}
	}
	return opts, nil
}

func typeNames(p hook.Platform) string {
	var names []string
	seen := map[string]bool{}
	for _, t := range p.Types() {
		if !seen[t.Name] {
			seen[t.Name] = true
			names = append(names, t.Name)
		}
	}
	return strings.Join(names, ", ")
}

// choose returns the program called name; with an empty name, the object's
// only one.
func choose(obj *prog.Object, name string) (*prog.Spec, error) {
	if name == "" {
		switch len(obj.Programs) {
		case 0:
			return nil, fmt.Errorf("%s holds no program", obj.File)
		case 1:
			return obj.Programs[0], nil
		}
		return nil, fmt.Errorf("%s holds %d programs; choose one with --program: %s", obj.File, len(obj.Programs), programNames(obj))
	}
	for _, s := range obj.Programs {
		if s.Name == name {
			return s, nil
		}
	}
	if len(obj.Programs) == 0 {
		return nil, fmt.Errorf("%s holds no program %q, nor any other", obj.File, name)
	}
	return nil, fmt.Errorf("%s holds no program %q; it holds %s", obj.File, name, programNames(obj))
}

func programNames(obj *prog.Object) string {
	names := make([]string, len(obj.Programs))
	for i, s := range obj.Programs {
		names[i] = s.Name
	}
	return strings.Join(names, ", ")
}

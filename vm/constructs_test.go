package vm_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/bpftest"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// A construct is a program that runs in every engine and in the kernel, where
// it must do the same. It leaves what it finds out in map 0, results.
type construct struct {
	name   string
	typ    string // "": xdp
	text   string // calls of kfuncs are by name; R9 is the address of results
	maps   []*maps.Spec
	packet []byte
	runs   int // 0: one
	// handler is the text of the function that handles exceptions, with those that it
	// calls.
	handler string
	// refused: the kernel of this machine does not take the program; why.
	refused string
}

// results is where constructs leave what they find out.
var results = &maps.Spec{Name: "results", Type: maps.Array, KeySize: 4, ValueSize: 256, MaxEntries: 1}

// structOf returns a struct of members without members, which is as much as the
// kernel needs to know of a value with special fields.
func structOf(size uint32, members ...btf.Member) *btf.Type {
	return &btf.Type{Kind: btf.Struct, Name: "value", Size: size, Members: members}
}

func field(off uint32, name string, size uint32) btf.Member {
	return btf.Member{Name: name, Type: &btf.Type{Kind: btf.Struct, Name: name, Size: size}, Offset: 8 * off}
}

// firstExtern is the number that stands for the first kfunc of a text.
const firstExtern = 1_000_000

var kfuncCall = regexp.MustCompile(`call (bpf_\w+)`)

// link assembles c.
func (c *construct) link(t testing.TB) *prog.Program {
	t.Helper()
	var names []string
	number := func(text string) string {
		return kfuncCall.ReplaceAllStringFunc(text, func(s string) string {
			names = append(names, strings.TrimPrefix(s, "call "))
			return "call " + strconv.Itoa(firstExtern+len(names)-1)
		})
	}
	text := number("r9 = map[0][0]+0\n" + c.text)
	insns := assemble(t, text)
	end := prog.PC(len(insns))
	if c.handler != "" {
		insns = append(insns, assemble(t, number(c.handler))...)
	}
	typ := linux.Platform.Type(c.kind())
	p, err := prog.FromInsns("p", typ, insns, append([]*maps.Spec{results}, c.maps...))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	p.License = "GPL"
	for pc, in := range p.Insns {
		if in.IsCall(isa.CallHelper) && in.Imm >= firstExtern {
			p.Insns[pc].Src = isa.CallKfunc
			p.Insns[pc].Imm -= firstExtern
		}
	}
	for _, n := range names {
		p.Externs = append(p.Externs, prog.Extern{Name: n})
	}
	if c.handler != "" {
		bpftest.Handle(p, end, bpftest.Handler(8, bpftest.Cookie))
	}
	return p
}

func (c *construct) kind() string {
	if c.typ == "" {
		return "xdp"
	}
	return c.typ
}

var kernelNumbers = map[string]uint32{"xdp": oracle.XDP, "sched_cls": oracle.SchedCls, "syscall": oracle.Syscall, "raw_tracepoint": oracle.RawTracepoint}

// kernel loads c into the kernel; the caller closes it.
func (c *construct) kernel(t testing.TB, p *prog.Program) *kernelProgram {
	t.Helper()
	k := &kernelProgram{}
	for _, s := range p.Maps {
		m, err := oracle.NewMap(s, nil)
		if err != nil {
			t.Fatalf("map %s: %v", s.Name, err)
		}
		k.maps = append(k.maps, m)
		for _, e := range s.Contents {
			if err := m.Update(e.Key, e.Value, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	insns := append([]prog.Insn(nil), p.Insns...)
	var names []string
	for _, x := range p.Externs {
		names = append(names, x.Name)
	}
	for pc, in := range insns { // relative again
		if in.IsWide() && in.Src == isa.PseudoFunc {
			insns[pc].Imm = in.Imm - int32(pc) - 1
		}
	}
	if err := oracle.Kfuncs(insns, names); err != nil {
		t.Skip(err)
	}
	var log string
	var err error
	var globals map[prog.PC]*btf.Type
	if p.Handler != 0 {
		f := &p.Funcs[p.Handler]
		globals = map[prog.PC]*btf.Type{0: p.Funcs[0].Type, f.Entry: f.Type}
	}
	k.prog, log, err = oracle.Load(oracle.LoadOptions{Type: kernelNumbers[c.kind()], Insns: insns, Maps: k.maps, Globals: globals})
	if err != nil {
		k.close()
		t.Fatalf("the kernel: %v\n%s", err, log)
	}
	return k
}

// input returns the packet of a run, or the context.
func (c *construct) input() []byte {
	switch {
	case c.kind() == "syscall", c.kind() == "raw_tracepoint":
		return nil
	case c.packet == nil:
		return make([]byte, 64)
	}
	return bytes.Clone(c.packet)
}

// checkConstructs runs each in every engine and in the kernel.
func checkConstructs(t *testing.T, cs []construct) {
	for _, c := range cs {
		t.Run(c.name, func(t *testing.T) {
			p := c.link(t)
			var k *kernelProgram
			if oracle.Available() == nil && c.refused == "" {
				k = c.kernel(t, p)
				defer k.close()
			}
			type outcome struct {
				engine vm.Engine
				coll   *vm.Collection
			}
			var ours []outcome
			for _, e := range usable(t) {
				coll, err := vm.LoadProgram(p, vm.Options{Engine: e, Verify: vm.VerifyRequire})
				if err != nil {
					t.Fatalf("%s: %v", e, err)
				}
				defer coll.Close()
				ours = append(ours, outcome{e, coll})
			}
			if len(ours) == 0 {
				t.Fatal("no engine")
			}
			for run := range max(c.runs, 1) {
				var want []byte
				var verdict uint64
				var packet []byte
				by := "the kernel"
				if k != nil {
					in := oracle.RunInput{}
					if x := c.input(); x != nil {
						in.Data = x
					}
					r, err := k.prog.Run(in)
					if err != nil {
						t.Fatalf("the kernel: %v", err)
					}
					for _, x := range p.Externs {
						oracle.RanKfunc(x.Name)
					}
					verdict, packet = uint64(r.Retval), r.Data
					want = k.entries(t, p.Maps)
				}
				for _, o := range ours {
					var in any
					if x := c.input(); x != nil {
						in = vm.NewPacket(x, 256, 256)
					}
					r, err := o.coll.Program("p").Do(context.Background(), in, vm.RunOptions{})
					if err != nil {
						t.Fatalf("%s: run %d: %v", o.engine, run, err)
					}
					got := entries(t, p.Maps, o.coll.Map)
					if want == nil {
						want, verdict, packet, by = got, r.R0&(1<<32-1), bytes.Clone(r.Packet), string(o.engine)
						continue
					}
					if r.R0&(1<<32-1) != verdict {
						t.Errorf("%s: run %d: R0 %d, %s %d", o.engine, run, int32(r.R0), by, int32(verdict))
					}
					if i := firstDifference(got, want); i >= 0 {
						t.Errorf("%s: run %d: maps differ at byte %d: %x, %s %x", o.engine, run, i, got[i&^7:min(i&^7+8, len(got))], by, want[i&^7:min(i&^7+8, len(want))])
					}
					if c.input() != nil && !bytes.Equal(r.Packet, packet) {
						t.Errorf("%s: run %d: the packet is\n%x, %s\n%x", o.engine, run, r.Packet, by, packet)
					}
				}
			}
		})
	}
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	if len(a) != len(b) {
		return min(len(a), len(b))
	}
	return -1
}

// entries returns the values of the first entries of all maps with values.
func entries(t *testing.T, specs []*maps.Spec, m func(string) maps.Map) (all []byte) {
	t.Helper()
	for _, s := range specs {
		if s.KeySize != 4 || s.Type != maps.Array && s.Type != maps.Hash {
			continue
		}
		for key := range min(s.MaxEntries, 8) {
			v := make([]byte, s.ValueSize)
			if err := m(s.Name).Lookup(binary.NativeEndian.AppendUint32(nil, key), v); err != nil {
				clear(v)
			}
			all = append(all, v...)
		}
	}
	return all
}

// entries is entries of the kernel's maps.
func (k *kernelProgram) entries(t *testing.T, specs []*maps.Spec) (all []byte) {
	t.Helper()
	for i, s := range specs {
		if s.KeySize != 4 || s.Type != maps.Array && s.Type != maps.Hash {
			continue
		}
		for key := range min(s.MaxEntries, 8) {
			v := make([]byte, s.ValueSize)
			if err := k.maps[i].Lookup(binary.NativeEndian.AppendUint32(nil, key), v, 0); err != nil {
				clear(v)
			}
			all = append(all, v...)
		}
	}
	return all
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/skepvm/skep/elf"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
	"github.com/skepvm/skep/vm"
)

// A batch is programs that differ in their instructions alone.
type batch struct {
	Object   []byte // nil: they have the map of function code
	Program  string // of the object
	Variants [][]byte
	Inputs   [][]byte
	Engines  []string
	Show     bool
}

// base is what the variants have in common.
type base struct {
	typ  *hook.Type
	maps []*maps.Spec
}

const codeMap = "m"

func (b *batch) base() (*base, error) {
	if b.Object == nil {
		return &base{linux.Platform.Type("xdp"), []*maps.Spec{{Name: codeMap, Type: maps.Array, KeySize: 4, ValueSize: codeValue, MaxEntries: 1}}}, nil
	}
	obj, err := elf.Load(bytes.NewReader(b.Object), "unit.o", elf.Options{})
	if err != nil {
		return nil, err
	}
	p, err := linked(obj, b.Program)
	if err != nil {
		return nil, err
	}
	return &base{p.Type, p.Maps}, nil
}

// linked returns a program of obj whose maps are small.
func linked(obj *prog.Object, name string) (*prog.Program, error) {
	for _, s := range obj.Maps {
		switch s.Type {
		case maps.Hash, maps.LRUHash, maps.PerCPUHash, maps.LRUPerCPUHash, maps.LPMTrie:
			s.MaxEntries = min(s.MaxEntries, 32)
		}
		if uint64(s.MaxEntries)*uint64(s.ValueSize) > 1<<18 {
			return nil, fmt.Errorf("map %s is large", s.Name)
		}
	}
	p, err := obj.Link(obj.Program(name))
	switch {
	case err != nil:
		return nil, err
	case p.Type == nil:
		return nil, errors.New("no type")
	case p.Type.Input == hook.InputTyped:
		return nil, errors.New("a type of the host's")
	case len(p.Externs) > 0:
		return nil, errors.New("it calls functions of the host")
	}
	return p, nil
}

// do runs all variants in all engines. Strict rules keep addresses, which differ
// from run to run, out of what can be seen.
func (b *batch) do() ([]outcome, error) {
	base, err := b.base()
	if err != nil {
		return nil, err
	}
	var all []outcome
	for i, raw := range b.Variants {
		insns, err := prog.Decode(raw)
		if err != nil {
			return nil, err
		}
		all = append(all, b.variant(base, strconv.Itoa(i), insns)...)
	}
	return all, nil
}

func (b *batch) variant(base *base, name string, insns []prog.Insn) (all []outcome) {
	refuse := func(e, why string) { all = append(all, outcome{Program: name, Engine: e, Refused: why}) }
	p, err := prog.FromInsns("p", base.typ, insns, base.maps)
	if err != nil {
		refuse(b.Engines[0], "[form]")
		return all
	}
	rules := rules
	rules.Strict = true
	if b.Object == nil {
		rules.MaxVisits /= 5 // they are many, and short
	}
	var proven *vm.Collection // until the end: engines share the proof
	for _, e := range b.Engines {
		if e == kernelEngine {
			all = append(all, b.inKernel(base, name, insns))
			continue
		}
		c, err := vm.LoadProgram(p, vm.Options{Engine: vm.Engine(e), Rules: rules, Deterministic: true, MaxInsns: 1 << 20})
		if err != nil {
			var v *verifier.Error
			if errors.As(err, &v) {
				refuse(e, fmt.Sprintf("[%s]", v.Code))
				if !slices.Contains(b.Engines, kernelEngine) {
					return all
				}
				continue
			}
			refuse(e, err.Error())
			continue
		}
		if proven == nil {
			proven = c
			defer c.Close()
		}
		all = append(all, b.runs(c, name, e))
		if c != proven {
			c.Close()
		}
	}
	return all
}

func (b *batch) runs(c *vm.Collection, name, e string) outcome {
	o := outcome{Program: name, Engine: e}
	p := c.Program("p")
	for _, input := range b.Inputs {
		var in any = vm.NewPacket(input, 256, 256)
		if p.Type().Input == hook.InputContext {
			ctx := make([]byte, p.Type().Ctx.Size)
			copy(ctx, input)
			in = ctx
		}
		if b.Object == nil {
			if err := c.Map(codeMap).Update(make([]byte, 4), input[:codeValue], maps.Any); err != nil {
				o.Refused = err.Error()
				return o
			}
		}
		res, err := p.Do(context.Background(), in, vm.RunOptions{})
		r := run{R0: uint32(res.R0), Packet: fnv(basis, res.Packet)}
		if ctx, ok := in.([]byte); ok {
			r.Packet = fnv(basis, ctx)
		}
		if err != nil {
			r.Err = "fault"
			if b.Show {
				r.Show = err.Error()
			}
		}
		r.Mem = basis
		for _, s := range p.Linked().Maps {
			h, text := contents(c.Map(s.Name))
			r.Mem ^= h
			if b.Show {
				r.Show += text
			}
		}
		o.Runs = append(o.Runs, r)
	}
	return o
}

// contents returns a digest of m's entries in no order.
func contents(m maps.Map) (h uint64, text string) {
	key, value := make([]byte, m.Spec().KeySize), make([]byte, m.Spec().HostValueSize())
	for err := m.NextKey(nil, key); err == nil; err = m.NextKey(bytes.Clone(key), key) {
		if m.Lookup(key, value) == nil {
			h += fnv(fnv(basis, key), value)
			text += fmt.Sprintf(" %x=%s", key, dotted(value))
		}
	}
	return h, text
}

// inKernel runs a variant of function code's programs in the kernel.
func (b *batch) inKernel(base *base, name string, insns []prog.Insn) outcome {
	o := outcome{Program: name, Engine: kernelEngine}
	m, err := oracle.NewMap(base.maps[0], nil)
	if err != nil {
		o.Refused = err.Error()
		return o
	}
	defer m.Close()
	p, _, err := oracle.Load(oracle.LoadOptions{Type: oracle.XDP, Insns: insns, Maps: []*oracle.Map{m}, NoLog: true, Within: kernelTime})
	if err != nil {
		o.Refused = err.Error()
		return o
	}
	defer p.Close()
	for _, input := range b.Inputs {
		key, value := make([]byte, 4), make([]byte, codeValue)
		if err := m.Update(key, input[:codeValue], maps.Any); err != nil {
			o.Refused = err.Error()
			return o
		}
		res, err := p.Run(oracle.RunInput{Data: input})
		if err == nil {
			err = m.Lookup(key, value, 0)
		}
		if err != nil {
			o.Refused = err.Error()
			return o
		}
		r := run{R0: res.Retval, Packet: fnv(basis, res.Data), Mem: basis ^ fnv(fnv(basis, key), value)}
		if b.Show {
			r.Show = fmt.Sprintf(" %x=%s", key, dotted(value))
		}
		o.Runs = append(o.Runs, r)
	}
	return o
}

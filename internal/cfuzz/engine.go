package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/skepvm/skep/elf"
	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
	"github.com/skepvm/skep/vm"
)

// A job is programs that are to run on packets.
type job struct {
	Object   []byte
	Programs []string // nil: those called p0, p1, …
	Insns    []byte   // if not nil, what takes the place of the only program's
	Packets  [][]byte
	Engines  []string
	Fresh    bool // maps hold what the object says before each program, not what native.h does before each packet
	Show     bool // runs say what memory holds
}

// An outcome is what came of one program in one engine.
type outcome struct {
	Program, Engine string
	Refused         string // why it did not run
	Runs            []run
}

// A run is what is left of one.
type run struct {
	R0          uint32
	Packet, Mem uint64 // digests
	Err         string
	Show        string
}

func (r run) String() string {
	return fmt.Sprintf("R0 %#x, packet %x, memory %x %s%s", r.R0, r.Packet, r.Mem, r.Err, r.Show)
}

// same reports whether both runs are alike.
func (r run) same(o run) bool {
	return r.R0 == o.R0 && r.Packet == o.Packet && r.Mem == o.Mem && r.Err == o.Err
}

const kernelEngine = "kernel"

// rules bound what a proof takes: the programs are many.
var rules = verifier.Options{MaxVisits: 25000, MaxTime: 20 * time.Second}

// do runs j in this process.
func (j *job) do() ([]outcome, error) {
	var all []outcome
	var colls []*vm.Collection // until the end: engines share proofs
	defer func() {
		for _, c := range colls {
			c.Close()
		}
	}()
	for _, e := range j.Engines {
		obj, names, err := j.load()
		if err != nil {
			return nil, err
		}
		if e == kernelEngine {
			o, err := j.kernel(obj, names)
			if err != nil {
				return nil, err
			}
			all = append(all, o...)
			continue
		}
		opts := vm.Options{Engine: vm.Engine(e), Rules: rules, Deterministic: true, MaxInsns: 1 << 22, AllowUninitStack: true}
		c, err := vm.Load(obj, opts)
		if err != nil {
			for _, n := range names {
				all = append(all, outcome{Program: n, Engine: e, Refused: err.Error()})
			}
			continue
		}
		colls = append(colls, c)
		for _, n := range names {
			all = append(all, j.program(c, n, e))
		}
	}
	return all, nil
}

// load reads the object and leaves what is to run.
func (j *job) load() (*prog.Object, []string, error) {
	obj, err := elf.Load(bytes.NewReader(j.Object), "unit.o", elf.Options{})
	if err != nil {
		return nil, nil, err
	}
	names := j.Programs
	if names == nil {
		for _, s := range obj.Programs {
			if s.Name[0] == 'p' {
				names = append(names, s.Name)
			}
		}
	}
	return obj, names, nil
}

func (j *job) program(c *vm.Collection, name, e string) outcome {
	o := outcome{Program: name, Engine: e}
	if err := c.Err(name); err != nil {
		o.Refused = err.Error()
		return o
	}
	p := c.Program(name)
	for _, pkt := range j.Packets {
		if err := reset(skepMaps{c}); err != nil {
			o.Refused = err.Error()
			return o
		}
		in := vm.NewPacket(pkt, 256, 256)
		res, err := p.Do(context.Background(), in, vm.RunOptions{})
		r := run{R0: uint32(res.R0), Packet: fnv(basis, res.Packet)}
		if err != nil {
			r.Err = err.Error()
		}
		r.Mem, r.Show = memory(skepMaps{c}, j.Show)
		o.Runs = append(o.Runs, r)
	}
	return o
}

// A store is the maps that a unit's programs use, by name.
type store interface {
	spec(name string) *maps.Spec
	update(name string, key, value []byte) error
	remove(name string, key []byte) error
	lookup(name string, key []byte) ([]byte, error) // per-CPU values as one
}

type skepMaps struct{ c *vm.Collection }

func (s skepMaps) spec(name string) *maps.Spec {
	if m := s.c.Map(name); m != nil {
		return m.Spec()
	}
	return nil
}

func (s skepMaps) update(name string, key, value []byte) error {
	m := s.c.Map(name)
	return m.Update(key, slices.Repeat(value, m.Spec().HostValueSize()/len(value)), maps.Any)
}

func (s skepMaps) remove(name string, key []byte) error { return s.c.Map(name).Delete(key) }

func (s skepMaps) lookup(name string, key []byte) ([]byte, error) {
	m := s.c.Map(name)
	v := make([]byte, m.Spec().HostValueSize())
	if err := m.Lookup(key, v); err != nil {
		return nil, err
	}
	return folded(v, int(m.Spec().ValueSize)), nil
}

// folded returns the values of all CPUs as one: one program ran on one of them.
func folded(v []byte, n int) []byte {
	for i := n; i < len(v); i++ {
		v[i%n] ^= v[i]
	}
	return v[:n]
}

// unitMaps are the maps of prelude.h, in the order of native.h.
var unitMaps = []string{"array", "hash", "hash4", "hash12", "percpu", "percpuh"}

// keyAt is key_at of native.h.
func keyAt(s *maps.Spec, i uint32) []byte {
	switch {
	case s.KeySize == 8:
		return binary.LittleEndian.AppendUint64(nil, uint64(i)*0x1000000000000103)
	case s.KeySize == 12:
		k := binary.LittleEndian.AppendUint32(nil, i)
		k = binary.LittleEndian.AppendUint16(k, uint16(i*3))
		k = binary.LittleEndian.AppendUint16(k, 7)
		return binary.LittleEndian.AppendUint32(k, ^i)
	case hashed(s):
		i *= 0x01010101
	}
	return binary.LittleEndian.AppendUint32(nil, i)
}

func hashed(s *maps.Spec) bool { return s.Type == maps.Hash || s.Type == maps.PerCPUHash }

// reset is reset of native.h.
func reset(m store) error {
	var zero [4]byte
	if s := m.spec(".bss"); s != nil {
		if err := m.update(".bss", zero[:], make([]byte, s.ValueSize)); err != nil {
			return err
		}
	}
	for _, name := range unitMaps {
		s := m.spec(name)
		if s == nil {
			continue
		}
		n := s.MaxEntries
		if hashed(s) {
			n = 8
		}
		for i := range n {
			key, value := keyAt(s, i), make([]byte, s.ValueSize)
			if hashed(s) && i%2 == 1 {
				if err := m.remove(name, key); err != nil && !errors.Is(err, errno.ENOENT) {
					return err
				}
				continue
			}
			if s.Type == maps.Hash {
				for k := 0; k < len(value); k += 8 {
					binary.LittleEndian.PutUint64(value[k:], uint64(i+1)*0x0102030405060708*uint64(k/8+1))
				}
			}
			if err := m.update(name, key, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// memory is memory of native.h.
func memory(m store, show bool) (uint64, string) {
	var text []byte
	h := uint64(basis)
	var zero [4]byte
	if m.spec(".bss") != nil {
		v, err := m.lookup(".bss", zero[:])
		if err != nil {
			return 0, err.Error()
		}
		h = fnv(h, v)
		text = fmt.Appendf(text, " st %s", dotted(v))
	}
	for _, name := range unitMaps {
		s := m.spec(name)
		if s == nil {
			continue
		}
		n := s.MaxEntries
		if hashed(s) {
			n = 8
		}
		for i := range n {
			v, err := m.lookup(name, keyAt(s, i))
			if err != nil {
				h = fnv(h, []byte("0"))
				continue
			}
			h = fnv(fnv(h, []byte("1")), v)
			text = fmt.Appendf(text, " map %s", dotted(v))
		}
	}
	if !show {
		text = nil
	}
	return h, string(text)
}

// dotted returns b in words.
func dotted(b []byte) (text string) {
	for i := 0; i < len(b); i += 8 {
		if i > 0 {
			text += "."
		}
		text += fmt.Sprintf("%x", b[i:min(i+8, len(b))])
	}
	return text
}

const basis = 0xcbf29ce484222325

// fnv is fnv of native.h.
func fnv(h uint64, b []byte) uint64 {
	for _, c := range b {
		h = (h ^ uint64(c)) * 0x100000001b3
	}
	return h
}

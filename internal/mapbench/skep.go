//go:build linux && amd64

package main

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// skep makes the maps of obj, those without contents filled with keys and
// values if there are any, and its programs in skep. It returns what gives the maps
// by name, too.
func skep(obj *prog.Object, keys, values []byte) (map[string]*inSkep, func(name string) maps.Map, error) {
	c, err := vm.Load(obj, vm.Options{Engine: vm.JIT})
	if err != nil {
		return nil, nil, err
	}
	for _, s := range obj.Maps {
		if s.Contents != nil || keys == nil {
			continue
		}
		if _, err := maps.UpdateBatch(c.Map(s.Name), keys, values, 0); err != nil {
			return nil, nil, fmt.Errorf("map %s: %w", s.Name, err)
		}
	}
	all := map[string]*inSkep{}
	for _, s := range obj.Programs {
		all[s.Name] = newInSkep(c.Program(s.Name))
	}
	return all, c.Map, nil
}

// inSkep is a program in skep's machine code.
type inSkep struct {
	prog *vm.Program
	pkt  []byte
	in   any // pkt
}

func newInSkep(p *vm.Program) *inSkep {
	s := &inSkep{prog: p, pkt: make([]byte, packetSize)}
	s.in = s.pkt
	return s
}

func (s *inSkep) time(seed uint64, runs int) (uint32, time.Duration, error) {
	binary.LittleEndian.PutUint64(s.pkt, seed)
	var r0 uint64
	begun := processorTime()
	for range runs {
		var err error
		if r0, err = s.prog.Run(s.in); err != nil {
			return 0, 0, err
		}
	}
	return uint32(r0), processorTime() - begun, nil
}

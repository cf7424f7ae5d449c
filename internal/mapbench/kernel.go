//go:build linux && amd64

package main

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// packetSize is the least that the kernel takes for an Ethernet frame, and more
// than the state.
const packetSize = 64

// kernel makes the maps of obj, those without contents filled with keys and
// values if there are any, and its programs in the kernel.
func kernel(obj *prog.Object, keys, values []byte) (map[string]*inKernel, error) {
	if err := oracle.Available(); err != nil {
		return nil, err
	}
	made, named := map[*maps.Spec]*oracle.Map{}, map[string]*oracle.Map{}
	for _, s := range obj.Maps {
		m, err := oracle.NewMap(s, nil)
		if err != nil {
			return nil, fmt.Errorf("map %s: %w", s.Name, err)
		}
		for _, e := range s.Contents {
			if err := m.Update(e.Key, e.Value, maps.Any); err != nil {
				return nil, fmt.Errorf("map %s: %w", s.Name, err)
			}
		}
		if s.Frozen {
			err = m.Freeze()
		} else if s.Contents == nil && keys != nil {
			_, err = m.Batch(oracle.BatchUpdate, nil, nil, keys, values, entries, 0)
		}
		if err != nil {
			return nil, fmt.Errorf("map %s: %w", s.Name, err)
		}
		made[s], named[s.Name] = m, m
	}
	all := map[string]*inKernel{}
	for _, s := range obj.Programs {
		p, err := obj.Link(s)
		if err != nil {
			return nil, err
		}
		var ms []*oracle.Map
		for _, spec := range p.Maps {
			ms = append(ms, made[spec])
		}
		k, log, err := oracle.Load(oracle.LoadOptions{Type: oracle.XDP, Insns: p.Insns, Maps: ms})
		if err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", s.Name, err, log)
		}
		all[s.Name] = &inKernel{k, make([]byte, packetSize), named}
	}
	return all, nil
}

// inKernel is a program in the kernel.
type inKernel struct {
	prog *oracle.Program
	pkt  []byte
	maps map[string]*oracle.Map // of the object
}

func (k *inKernel) time(seed uint64, runs int) (uint32, time.Duration, error) {
	binary.LittleEndian.PutUint64(k.pkt, seed)
	begun := processorTime()
	r, err := k.prog.Run(oracle.RunInput{Data: k.pkt, Repeat: uint32(runs)})
	return r.Retval, processorTime() - begun, err
}

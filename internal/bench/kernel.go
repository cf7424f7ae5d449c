//go:build linux && amd64

package main

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// A kernel is a program in the running kernel.
type kernel struct {
	prog *oracle.Program
	pkt  []byte
	ring *kernelRing
}

// newKernel gives the kernel the programs of obj, and runs that of b. A refusal
// is an error.
func newKernel(obj *prog.Object, b *benchmark, pkt []byte) (*kernel, error) {
	if err := oracle.Available(); err != nil {
		return nil, err
	}
	made := map[*maps.Spec]*oracle.Map{}
	for _, s := range obj.Maps {
		m, err := kernelMap(s)
		if err != nil {
			return nil, fmt.Errorf("map %s: %w", s.Name, err)
		}
		made[s] = m
	}
	loaded := map[string]*oracle.Program{}
	for _, s := range obj.Programs {
		p, err := obj.Link(s)
		if err != nil {
			return nil, err
		}
		ms := []*oracle.Map{}
		for _, spec := range p.Maps {
			ms = append(ms, made[spec])
		}
		insns := slices.Clone(p.Insns)
		for pc := range insns {
			if in := &insns[pc]; in.IsWide() && in.Src == isa.PseudoFunc {
				in.Imm -= int32(pc) + 1 // the kernel counts from here
			}
		}
		k, log, err := oracle.Load(oracle.LoadOptions{Type: oracle.XDP, Insns: insns, Maps: ms})
		if err != nil {
			return nil, fmt.Errorf("refused: %w: %s", err, lastLine(log))
		}
		loaded[s.Name] = k
	}
	for _, s := range obj.Maps {
		for _, e := range s.Contents {
			if e.Program == "" {
				continue
			}
			fd := binary.NativeEndian.AppendUint32(nil, uint32(loaded[e.Program].FD()))
			if err := made[s].Update(e.Key, fd, maps.Any); err != nil {
				return nil, fmt.Errorf("map %s: %w", s.Name, err)
			}
		}
	}
	k := &kernel{prog: loaded[b.name], pkt: pkt}
	if b.ring {
		for s, m := range made {
			if s.Type == maps.RingBuf {
				r, err := newKernelRing(m)
				if err != nil {
					return nil, err
				}
				k.ring = r
			}
		}
	}
	return k, nil
}

func kernelMap(s *maps.Spec) (*oracle.Map, error) {
	m, err := oracle.NewMap(s, nil)
	if err != nil {
		return nil, err
	}
	for _, e := range s.Contents {
		if e.Value == nil {
			continue
		}
		if err := m.Update(e.Key, e.Value, maps.Any); err != nil {
			return nil, err
		}
	}
	if s.Frozen {
		return m, m.Freeze()
	}
	return m, nil
}

// lastLine returns what the kernel's verifier gave as its reason.
func lastLine(log string) string {
	last, line := "", ""
	for _, c := range log + "\n" {
		if c != '\n' {
			line += string(c)
			continue
		}
		if line != "" && !hasPrefix(line, "processed ", "verification time", "stack depth") {
			last = line
		}
		line = ""
	}
	return last
}

func hasPrefix(s string, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return len(s) >= len(p) && s[:len(p)] == p })
}

func (k *kernel) once() (uint32, error) {
	r, err := k.prog.Run(oracle.RunInput{Data: k.pkt})
	return r.Retval, err
}

func (k *kernel) time(count int) (time.Duration, error) {
	r, err := k.prog.Run(oracle.RunInput{Data: k.pkt, Repeat: uint32(count)})
	if k.ring != nil {
		k.ring.empty()
	}
	return time.Duration(r.Duration) * time.Duration(count), err
}

// A kernelRing is the pages of a ring buffer that say where it is read and
// written.
type kernelRing struct{ consumer, producer *atomic.Uint64 }

func newKernelRing(m *oracle.Map) (*kernelRing, error) {
	const page = 4096
	c, err := syscall.Mmap(m.FD(), 0, page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	p, err := syscall.Mmap(m.FD(), page, page, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return &kernelRing{(*atomic.Uint64)(unsafe.Pointer(&c[0])), (*atomic.Uint64)(unsafe.Pointer(&p[0]))}, nil
}

func (r *kernelRing) empty() { r.consumer.Store(r.producer.Load()) }

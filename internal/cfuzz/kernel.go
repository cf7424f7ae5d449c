package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// kernelTime is how long the kernel may take for a program.
const kernelTime = 150 * time.Millisecond

// kernelMaps are an object's maps in the kernel.
type kernelMaps struct {
	specs map[string]*maps.Spec
	made  map[*maps.Spec]*oracle.Map
}

func (k *kernelMaps) spec(name string) *maps.Spec { return k.specs[name] }

func (k *kernelMaps) of(name string) *oracle.Map { return k.made[k.specs[name]] }

func (k *kernelMaps) values(s *maps.Spec) (n int, err error) {
	if s.Type != maps.PerCPUArray && s.Type != maps.PerCPUHash {
		return int(s.ValueSize), nil
	}
	cpus, err := oracle.PossibleCPUs()
	return cpus * int(s.ValueSize+7) / 8 * 8, err
}

func (k *kernelMaps) update(name string, key, value []byte) error {
	n, err := k.values(k.specs[name])
	if err != nil {
		return err
	}
	return k.of(name).Update(key, slices.Repeat(value, n/len(value)), maps.Any)
}

func (k *kernelMaps) remove(name string, key []byte) error { return k.of(name).Delete(key) }

func (k *kernelMaps) lookup(name string, key []byte) ([]byte, error) {
	n, err := k.values(k.specs[name])
	if err != nil {
		return nil, err
	}
	v := make([]byte, n)
	if err := k.of(name).Lookup(key, v, 0); err != nil {
		return nil, err
	}
	return folded(v, int(k.specs[name].ValueSize)), nil
}

func (k *kernelMaps) close() {
	for _, m := range k.made {
		m.Close()
	}
}

// makeMaps makes the maps of obj, with what they hold at first.
func makeMaps(obj *prog.Object) (*kernelMaps, error) {
	k := &kernelMaps{map[string]*maps.Spec{}, map[*maps.Spec]*oracle.Map{}}
	for _, s := range obj.Maps {
		m, err := oracle.NewMap(s, nil)
		if err != nil {
			k.close()
			return nil, fmt.Errorf("map %s: %w", s.Name, err)
		}
		k.specs[s.Name], k.made[s] = s, m
		for _, e := range s.Contents {
			if e.Value == nil {
				continue // a program
			}
			if err := m.Update(e.Key, e.Value, maps.Any); err != nil {
				k.close()
				return nil, fmt.Errorf("map %s: %w", s.Name, err)
			}
		}
		if s.Frozen {
			if err := m.Freeze(); err != nil {
				k.close()
				return nil, fmt.Errorf("map %s: %w", s.Name, err)
			}
		}
	}
	return k, nil
}

// load gives the kernel a program of obj.
func (k *kernelMaps) load(obj *prog.Object, name string, insns []prog.Insn) (*oracle.Program, error) {
	p, err := obj.Link(obj.Program(name))
	if err != nil {
		return nil, err
	}
	number := map[string]uint32{"xdp": oracle.XDP, "sched_cls": oracle.SchedCls, "socket_filter": oracle.SocketFilter}[p.Type.Name]
	if number == 0 {
		return nil, fmt.Errorf("the kernel does not run programs of type %s for the asking", p.Type.Name)
	}
	if insns == nil {
		insns = unlinked(p)
	}
	var ms []*oracle.Map
	for _, s := range p.Maps {
		ms = append(ms, k.made[s])
	}
	o := oracle.LoadOptions{Type: number, Insns: insns, Maps: ms, NoLog: true, Within: kernelTime}
	if ms == nil {
		o.Maps = []*oracle.Map{}
	}
	kp, _, err := oracle.Load(o)
	if err != nil && !errors.Is(err, errno.EAGAIN) && !errors.Is(err, errno.E2BIG) {
		o.NoLog, o.LogLevel = false, 1
		var log string
		if kp, log, err = oracle.Load(o); err != nil {
			lines := strings.Split(strings.TrimSpace(log), "\n")
			for len(lines) > 1 && strings.HasPrefix(lines[len(lines)-1], "processed ") || strings.HasPrefix(lines[len(lines)-1], "stack depth ") || strings.HasPrefix(lines[len(lines)-1], "verification time ") {
				lines = lines[:len(lines)-1]
			}
			return nil, fmt.Errorf("%w: %s", err, lines[len(lines)-1])
		}
	}
	return kp, err
}

// unlinked returns p's slots in the form that bpf(2) takes.
func unlinked(p *prog.Program) []prog.Insn {
	insns := slices.Clone(p.Insns)
	for pc := range insns {
		if in := &insns[pc]; in.IsWide() && in.Src == isa.PseudoFunc {
			in.Imm -= int32(pc) + 1
		}
	}
	return insns
}

// kernel runs the programs of obj in the kernel.
func (j *job) kernel(obj *prog.Object, names []string) (all []outcome, err error) {
	k, err := makeMaps(obj)
	if err != nil {
		return nil, err
	}
	defer k.close()
	for _, s := range obj.Maps {
		for _, e := range s.Contents {
			if e.Program == "" {
				continue
			}
			p, err := k.load(obj, e.Program, nil)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", e.Program, err)
			}
			defer p.Close()
			if err := k.made[s].Update(e.Key, binary.NativeEndian.AppendUint32(nil, uint32(p.FD())), maps.Any); err != nil {
				return nil, fmt.Errorf("map %s: %w", s.Name, err)
			}
		}
	}
	for _, name := range names {
		o, err := j.inKernel(k, obj, name)
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, nil
}

func (j *job) inKernel(k *kernelMaps, obj *prog.Object, name string) (o outcome, err error) {
	o = outcome{Program: name, Engine: kernelEngine}
	var insns []prog.Insn
	if j.Insns != nil {
		if insns, err = prog.Decode(j.Insns); err != nil {
			return o, err
		}
	}
	p, err := k.load(obj, name, insns)
	if err != nil {
		o.Refused = err.Error()
		return o, nil
	}
	defer p.Close()
	for _, pkt := range j.Packets {
		if err := reset(k); err != nil {
			return o, err
		}
		res, err := p.Run(oracle.RunInput{Data: pkt})
		if err != nil {
			return o, errors.Join(errors.New("test run"), err)
		}
		r := run{R0: res.Retval, Packet: fnv(basis, res.Data)}
		r.Mem, r.Show = memory(k, j.Show)
		o.Runs = append(o.Runs, r)
	}
	return o, nil
}

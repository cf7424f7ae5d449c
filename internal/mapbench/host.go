//go:build linux && amd64

package main

import (
	"encoding/binary"
	"time"

	"github.com/skepvm/skep/maps"
)

// fromGo looks keys up in a hash of skep's as Go code does.
type fromGo struct {
	m          maps.Map
	key, value [8]byte
}

func (g *fromGo) time(seed uint64, runs int) (sum uint32, d time.Duration, err error) {
	s := seed
	begun := processorTime()
	for range runs {
		sum = 0
		for range ops {
			s = next(s)
			binary.NativeEndian.PutUint64(g.key[:], key(below(s, entries)))
			if err := g.m.Lookup(g.key[:], g.value[:]); err != nil {
				return 0, 0, err
			}
			sum += binary.NativeEndian.Uint32(g.value[:])
		}
	}
	return sum, processorTime() - begun, nil
}

// typed is fromGo by way of Go types.
type typed struct{ m *maps.Typed[uint64, uint64] }

func (g typed) time(seed uint64, runs int) (sum uint32, d time.Duration, err error) {
	s := seed
	begun := processorTime()
	for range runs {
		sum = 0
		for range ops {
			s = next(s)
			v, err := g.m.Lookup(key(below(s, entries)))
			if err != nil {
				return 0, 0, err
			}
			sum += uint32(v)
		}
	}
	return sum, processorTime() - begun, nil
}

// goMap looks the same keys up in a map of Go's.
type goMap map[uint64]uint64

func newGoMap() goMap {
	m := make(goMap, entries)
	for i := range uint64(entries) {
		m[key(i)] = key(i)
	}
	return m
}

func (m goMap) time(seed uint64, runs int) (sum uint32, d time.Duration, err error) {
	s := seed
	begun := processorTime()
	for range runs {
		sum = 0
		for range ops {
			s = next(s)
			v, ok := m[key(below(s, entries))]
			if !ok {
				continue
			}
			sum += uint32(v)
		}
	}
	return sum, processorTime() - begun, nil
}

package mapstest_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/maps/mapstest"
)

func TestTypes(t *testing.T) {
	for _, spec := range []maps.Spec{
		{Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 5},
		{Type: maps.Array, KeySize: 4, ValueSize: 13, MaxEntries: 200},
		{Type: maps.PerCPUArray, KeySize: 4, ValueSize: 13, MaxEntries: 5},
		{Type: maps.Hash, KeySize: 8, ValueSize: 8, MaxEntries: 5},
		{Type: maps.Hash, KeySize: 4, ValueSize: 3, MaxEntries: 1000, Flags: maps.NoPrealloc},
		{Type: maps.Hash, KeySize: 21, ValueSize: 40, MaxEntries: 64, Flags: maps.ZeroSeed},
		{Type: maps.PerCPUHash, KeySize: 4, ValueSize: 8, MaxEntries: 9},
		{Type: maps.PerCPUHash, KeySize: 1, ValueSize: 9, MaxEntries: 100},
		{Type: maps.ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 4},
		{Type: maps.RingBuf, MaxEntries: 4096},
		{Type: maps.LPMTrie, KeySize: 8, ValueSize: 8, MaxEntries: 7, Flags: maps.NoPrealloc},
		{Type: maps.Queue, ValueSize: 8, MaxEntries: 7},
		{Type: maps.Stack, ValueSize: 8, MaxEntries: 7},
		{Type: maps.BloomFilter, ValueSize: 8, MaxEntries: 7},
		{Type: maps.PerfEventArray, KeySize: 4, ValueSize: 4, MaxEntries: 4},
		{Type: maps.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 4, Inner: &maps.Spec{Type: maps.Array, KeySize: 4, ValueSize: 4, MaxEntries: 4}},
		{Type: maps.HashOfMaps, KeySize: 8, ValueSize: 4, MaxEntries: 4, Inner: &maps.Spec{Type: maps.Array, KeySize: 4, ValueSize: 4, MaxEntries: 4}},
		{Type: maps.LRUHash, KeySize: 8, ValueSize: 8, MaxEntries: 100},
		{Type: maps.LRUPerCPUHash, KeySize: 8, ValueSize: 8, MaxEntries: 100},
	} {
		t.Run(fmt.Sprintf("%v/%d", spec.Type, spec.KeySize), func(t *testing.T) {
			mapstest.Run(t, func(t testing.TB) maps.Map {
				m, err := maps.New(&spec)
				if err != nil {
					t.Fatal(err)
				}
				return m
			})
		})
	}
	mapstest.Run(t, func(testing.TB) maps.Map { return newSquares() })
}

// squares is a host's own map: what it holds is computed, and programs only
// read it.
type squares struct {
	maps.Base
	mu     sync.Mutex
	values map[uint32][]byte
}

func newSquares() *squares {
	return &squares{
		Base:   maps.Base{Description: maps.Spec{Name: "squares", Type: maps.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 1 << 16}},
		values: map[uint32][]byte{},
	}
}

func (m *squares) LookupElem(_ int, key []byte) []byte {
	if len(key) != 4 {
		return nil
	}
	n := binary.NativeEndian.Uint32(key)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.values[n] == nil {
		m.values[n] = binary.NativeEndian.AppendUint64(nil, uint64(n)*uint64(n))
	}
	return m.values[n]
}

// TestBase checks what a host's map gets from Base.
func TestBase(t *testing.T) {
	var m maps.Map = newSquares()
	if got := m.LookupElem(0, []byte{7, 0, 0, 0}); len(got) != 8 || binary.NativeEndian.Uint64(got) != 49 && binary.NativeEndian.Uint32([]byte{7, 0, 0, 0}) == 7 {
		t.Errorf("7 squared: %x", got)
	}
	key, value := make([]byte, 4), make([]byte, 8)
	for op, err := range map[string]error{
		"update": m.Update(key, value, maps.Any),
		"delete": m.Delete(key),
		"lookup": m.Lookup(key, value),
		"next":   m.NextKey(nil, key),
		"elem":   m.UpdateElem(0, key, value, maps.Any),
	} {
		if !errors.Is(err, errno.ENOTSUPP) {
			t.Errorf("%s: %v, want ENOTSUPP", op, err)
		}
	}
}

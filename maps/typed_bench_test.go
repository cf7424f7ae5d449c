package maps_test

import (
	"encoding/binary"
	"testing"

	"github.com/skepvm/skep/maps"
)

// BenchmarkTyped asks what Go types cost on top of bytes.
func BenchmarkTyped(b *testing.B) {
	m, err := maps.New(&maps.Spec{Type: maps.Hash, KeySize: 8, ValueSize: 16, MaxEntries: 1000})
	if err != nil {
		b.Fatal(err)
	}
	typed, err := maps.NewTyped[uint64, struct{ Packets, Bytes uint64 }](m)
	if err != nil {
		b.Fatal(err)
	}
	for k := range uint64(1000) {
		if err := typed.Put(k, struct{ Packets, Bytes uint64 }{k, k}); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("lookup/bytes", func(b *testing.B) {
		b.ReportAllocs()
		key, value := make([]byte, 8), make([]byte, 16)
		for k := uint64(0); b.Loop(); k++ {
			binary.NativeEndian.PutUint64(key, k%1000)
			if err := m.Lookup(key, value); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("lookup/typed", func(b *testing.B) {
		b.ReportAllocs()
		for k := uint64(0); b.Loop(); k++ {
			if _, err := typed.Lookup(k % 1000); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("update/bytes", func(b *testing.B) {
		b.ReportAllocs()
		key, value := make([]byte, 8), make([]byte, 16)
		for k := uint64(0); b.Loop(); k++ {
			binary.NativeEndian.PutUint64(key, k%1000)
			if err := m.Update(key, value, maps.Any); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("update/typed", func(b *testing.B) {
		b.ReportAllocs()
		for k := uint64(0); b.Loop(); k++ {
			if err := typed.Put(k%1000, struct{ Packets, Bytes uint64 }{k, k}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

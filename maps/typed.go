package maps

import (
	"encoding/binary"
	"fmt"
	"iter"
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/mem"
)

// A Typed is a map whose keys and values are Go values, for use by Go code:
//
//	type Key struct { Addr [4]byte; Port uint16; _ [2]byte }
//	type Stats struct { Packets, Bytes uint64 }
//
//	flows, err := maps.NewTyped[Key, Stats](coll.Map("flows"))
//	err = flows.Put(Key{Port: 80}, Stats{})
//	for key, stats := range flows.Iterate().All() { … }
//
// K and V are booleans, numbers of a fixed size, and arrays and structs of
// those: what bpf2go generates. Memory of such a value is what programs see, in
// the host's byte order. Bytes that belong to no field, and fields called _, are
// written as zeros whatever a Go value has there; any byte but 0 reads as a true
// bool. For a map without keys (a queue, a stack, a bloom filter) K is struct{}.
//
// V of a per-CPU map is a slice, []Stats, with one element for each virtual
// CPU. Lookups fill all NumCPU of them. To an update fewer may be given; the
// values of the rest become zeros.
//
// All methods may be used by any number of goroutines. Errors are those of Map.
type Typed[K, V any] struct {
	m          Map
	key, value form
	words      *hash     // m, if its keys and values are plain words of 8 bytes
	buffers    sync.Pool // of *buffer
}

// A buffer is memory for one key and one value as Map takes them.
type buffer struct{ key, value []byte }

// NewTyped returns m with keys of type K and values of type V. If the map has
// BTF, they must be laid out as its C types are: every member needs a field of
// the same name, offset and size (or a blank one in its place), where the name
// of the field is that of the member without regard to case and underscores, or
// what a tag `bpf:"member"` says. An integer stands for any integer, enum or
// pointer of its size, an array of bytes for anything of its size. Without BTF,
// sizes alone must be right. The error names the first difference.
func NewTyped[K, V any](m Map) (*Typed[K, V], error) {
	if m == nil {
		return nil, fmt.Errorf("no map: %w", errno.EINVAL)
	}
	t := &Typed[K, V]{m: m}
	s := m.Spec()
	k, v := reflect.TypeFor[K](), reflect.TypeFor[V]()
	var err error
	if t.key, err = formOf(k, s.Key, int(s.KeySize)); err != nil {
		return nil, fmt.Errorf("map %q: key: %w", s.Name, err)
	}
	perCPU := s.perCPU()
	switch {
	case perCPU && v.Kind() != reflect.Slice:
		err = fmt.Errorf("%v is no slice, which the values of a %v are: []%v: %w", v, s.Type, v, errno.EINVAL)
	case perCPU:
		t.value, err = formOf(v.Elem(), s.Value, int(s.ValueSize))
	default:
		t.value, err = formOf(v, s.Value, int(s.ValueSize))
	}
	if err != nil {
		return nil, fmt.Errorf("map %q: value: %w", s.Name, err)
	}
	t.value.perCPU = perCPU
	if h, ok := m.(*hash); ok && h.words && t.key.plain() && t.value.plain() {
		t.words = h
	}
	t.buffers.New = func() any {
		return &buffer{make([]byte, s.KeySize), make([]byte, s.HostValueSize())}
	}
	return t, nil
}

// Map returns the map that t is.
func (t *Typed[K, V]) Map() Map { return t.m }

// Lookup returns the value for key. ErrKeyNotExist: there is none. It allocates
// only the slice of a per-CPU value.
func (t *Typed[K, V]) Lookup(key K) (V, error) {
	if m := t.words; m != nil {
		if o := m.fast.Load(); o != nil {
			k := mem.Cast[uint64](key)
			w, left, h := o.lineOf(k)
			if e := entryIn(w, h, k); e != nil {
				if v := e[1]; atomic.LoadUint64(&w[1]) == left {
					return mem.Cast[V](v), nil
				}
			}
		}
	}
	var value V
	err := t.LookupInto(key, &value)
	return value, err
}

// LookupInto is Lookup into *value, whose slice it uses again if it is a
// per-CPU value. On an error *value is as it was, or zero. A bloom filter looks
// for *value.
func (t *Typed[K, V]) LookupInto(key K, value *V) error {
	k := mem.View(&key)
	if m := t.words; m != nil {
		if o := m.fast.Load(); o != nil {
			key := binary.NativeEndian.Uint64(k)
			w, left, h := o.lineOf(key)
			if e := entryIn(w, h, key); e != nil {
				if v := e[1]; atomic.LoadUint64(&w[1]) == left {
					binary.NativeEndian.PutUint64(mem.View(value), v)
					return nil
				}
			}
		}
		return m.lookupWord((*[8]byte)(k), (*[8]byte)(mem.View(value)))
	}
	t.key.erase(k)
	if t.value.perCPU {
		return t.lookupSlowly(k, value)
	}
	v := mem.View(value)
	var err error
	switch m := t.m.(type) { // the compiler sees that these keep neither
	case *hash:
		err = m.Lookup(k, v)
	case *array:
		err = m.Lookup(k, v)
	default:
		return t.lookupSlowly(k, value)
	}
	if err == nil {
		t.value.repair(v)
	}
	return err
}

// lookupSlowly looks up by way of memory that the map may keep.
func (t *Typed[K, V]) lookupSlowly(key []byte, value *V) error {
	b := t.buffers.Get().(*buffer)
	defer t.buffers.Put(b)
	copy(b.key, key)
	if !t.value.perCPU {
		copy(b.value, mem.View(value))
	}
	err := t.m.Lookup(b.key, b.value)
	if err == nil {
		readValue(&t.value, value, b.value)
	}
	return err
}

// Put stores value for key, whether there was one or not.
func (t *Typed[K, V]) Put(key K, value V) error { return t.Update(key, value, Any) }

// Update stores value for key as flags say.
func (t *Typed[K, V]) Update(key K, value V, flags UpdateFlags) error {
	if !t.value.perCPU {
		k, v := mem.View(&key), mem.View(&value)
		t.key.erase(k)
		t.value.erase(v)
		switch m := t.m.(type) {
		case *hash:
			return m.Update(k, v, flags)
		case *array:
			return m.Update(k, v, flags)
		}
	}
	b := t.buffers.Get().(*buffer)
	defer t.buffers.Put(b)
	copy(b.key, mem.View(&key))
	t.key.erase(b.key)
	if err := t.write(b.value, &value); err != nil {
		return err
	}
	return t.m.Update(b.key, b.value, flags)
}

func (t *Typed[K, V]) write(b []byte, value *V) error {
	if err := writeValue(&t.value, b, value); err != nil {
		return fmt.Errorf("map %q: %w", t.m.Spec().Name, err)
	}
	return nil
}

// Delete removes key. ErrKeyNotExist: it was not there.
func (t *Typed[K, V]) Delete(key K) error {
	b := t.buffers.Get().(*buffer)
	defer t.buffers.Put(b)
	copy(b.key, mem.View(&key))
	t.key.erase(b.key)
	return t.m.Delete(b.key)
}

// LookupAndDelete removes key and returns the value it had, in one step. In a
// queue or a stack that is the next value.
func (t *Typed[K, V]) LookupAndDelete(key K) (V, error) {
	var value V
	d, ok := t.m.(LookupDeleter)
	if !ok {
		return value, fmt.Errorf("map %q: lookup and delete: %w", t.m.Spec().Name, errno.ENOTSUPP)
	}
	b := t.buffers.Get().(*buffer)
	defer t.buffers.Put(b)
	copy(b.key, mem.View(&key))
	t.key.erase(b.key)
	err := d.LookupAndDelete(b.key, b.value)
	if err == nil {
		readValue(&t.value, &value, b.value)
	}
	return value, err
}

// Iterate returns an iterator over the entries of the map, which walks as Walk
// does.
func (t *Typed[K, V]) Iterate() *Iterator[K, V] { return &Iterator[K, V]{t: t} }

// An Iterator walks a map. It belongs to one goroutine.
type Iterator[K, V any] struct {
	t   *Typed[K, V]
	err error
}

// All returns the entries. The body of the loop may change the map. Slices of
// per-CPU values are its own.
func (it *Iterator[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		t := it.t
		it.err = Walk(t.m, func(k, v []byte) bool {
			var key K
			var value V
			copy(mem.View(&key), k)
			t.key.repair(mem.View(&key))
			readValue(&t.value, &value, v)
			return yield(key, value)
		})
	}
}

// Err returns why the last loop over All ended early; nil if it came to the end
// or was left.
func (it *Iterator[K, V]) Err() error { return it.err }

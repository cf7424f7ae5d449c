package maps

import (
	"fmt"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/mem"
)

// LookupBatch copies the next entries to keys and values, which have the same
// length: see the function LookupBatch.
func (t *Typed[K, V]) LookupBatch(c *Cursor, keys []K, values []V) (int, error) {
	return t.walkBatch(LookupBatch, c, keys, values)
}

// LookupAndDeleteBatch is LookupBatch, but removes what it returns.
func (t *Typed[K, V]) LookupAndDeleteBatch(c *Cursor, keys []K, values []V) (int, error) {
	return t.walkBatch(LookupAndDeleteBatch, c, keys, values)
}

func (t *Typed[K, V]) walkBatch(walk func(Map, *Cursor, []byte, []byte) (int, error), c *Cursor, keys []K, values []V) (int, error) {
	if err := t.sameLength(len(keys), len(values)); err != nil {
		return 0, err
	}
	k, v := t.sizes()
	ks, vs := make([]byte, len(keys)*k), make([]byte, len(values)*v)
	n, err := walk(t.m, c, ks, vs)
	for i := range n {
		key := mem.View(&keys[i])
		copy(key, ks[i*k:])
		t.key.repair(key)
		readValue(&t.value, &values[i], vs[i*v:][:v])
	}
	return n, err
}

// UpdateBatch stores values, one for each of keys, up to the first error and
// returns how many it stored. Of flags only Lock is allowed.
func (t *Typed[K, V]) UpdateBatch(keys []K, values []V, flags UpdateFlags) (int, error) {
	if err := t.sameLength(len(keys), len(values)); err != nil {
		return 0, err
	}
	_, v := t.sizes()
	vs := make([]byte, len(values)*v)
	for i := range values {
		if err := t.write(vs[i*v:][:v], &values[i]); err != nil {
			return 0, fmt.Errorf("values[%d]: %w", i, err)
		}
	}
	return UpdateBatch(t.m, t.keys(keys), vs, flags)
}

// DeleteBatch removes keys up to the first error and returns how many it
// removed.
func (t *Typed[K, V]) DeleteBatch(keys []K) (int, error) { return DeleteBatch(t.m, t.keys(keys)) }

func (t *Typed[K, V]) sizes() (key, value int) {
	return int(t.m.Spec().KeySize), t.m.Spec().HostValueSize()
}

// keys returns keys as Map takes them.
func (t *Typed[K, V]) keys(keys []K) []byte {
	k, _ := t.sizes()
	ks := make([]byte, len(keys)*k)
	for i := range keys {
		copy(ks[i*k:], mem.View(&keys[i]))
		t.key.erase(ks[i*k:][:k])
	}
	return ks
}

func (t *Typed[K, V]) sameLength(keys, values int) error {
	if keys != values {
		return fmt.Errorf("map %q: %d keys and %d values: %w", t.m.Spec().Name, keys, values, errno.EINVAL)
	}
	return nil
}

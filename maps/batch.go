package maps

import (
	"errors"
	"fmt"

	"github.com/skepvm/skep/errno"
)

// The operations on many entries (bpf(2), BPF_MAP_*_BATCH). Keys and values lie
// one after the other, as many as there are keys; each entry is looked up or
// changed by itself, and the batch is not atomic.

// A Cursor is a place in a walk by LookupBatch. The zero Cursor is the start.
type Cursor struct{ key []byte }

// LookupBatch copies the next entries in the map's order to keys and values,
// as many as keys has room for, and moves c. ENOENT says that the n entries
// returned are the last.
//
// In hash maps every entry that is there throughout the walk is returned once,
// whatever else comes and goes. Elsewhere a walk starts anew if the entry
// it is at is deleted.
func LookupBatch(m Map, c *Cursor, keys, values []byte) (n int, err error) {
	return walkBatch(m, batchLookup, c, keys, values, 0)
}

// LookupAndDeleteBatch is LookupBatch, but removes what it returns.
func LookupAndDeleteBatch(m Map, c *Cursor, keys, values []byte) (n int, err error) {
	return walkBatch(m, batchLookupDelete, c, keys, values, 0)
}

// LookupBatchLocked is LookupBatch, each value copied under its spin lock
// (BPF_F_LOCK): see LookupLocked.
func LookupBatchLocked(m Map, c *Cursor, keys, values []byte) (n int, err error) {
	return walkBatch(m, batchLookup, c, keys, values, Lock)
}

// LookupAndDeleteBatchLocked is LookupBatchLocked, but removes what it returns.
func LookupAndDeleteBatchLocked(m Map, c *Cursor, keys, values []byte) (n int, err error) {
	return walkBatch(m, batchLookupDelete, c, keys, values, Lock)
}

// UpdateBatch stores entries up to the first error and returns how many it
// stored. Of flags only Lock is allowed.
func UpdateBatch(m Map, keys, values []byte, flags UpdateFlags) (n int, err error) {
	total, err := beginBatch(m, batchUpdate, keys, values)
	if err != nil {
		return 0, err
	}
	if flags&^Lock != 0 {
		return 0, fmt.Errorf("map %q: update batch: flags %#x: %w", m.Spec().Name, flags, errno.EINVAL)
	}
	if err := checkBatchLock(m, flags); err != nil {
		return 0, err
	}
	k, v := int(m.Spec().KeySize), m.Spec().HostValueSize()
	for ; n < total; n++ {
		if err := m.Update(keys[n*k:][:k], values[n*v:][:v], flags); err != nil {
			return n, err
		}
	}
	return n, nil
}

// DeleteBatch removes keys up to the first error and returns how many it
// removed.
func DeleteBatch(m Map, keys []byte) (n int, err error) {
	total, err := beginBatch(m, batchDelete, keys, nil)
	if err != nil {
		return 0, err
	}
	k := int(m.Spec().KeySize)
	for ; n < total; n++ {
		if err := m.Delete(keys[n*k:][:k]); err != nil {
			return n, err
		}
	}
	return n, nil
}

// batchOp is a set of batch operations.
type batchOp uint8

const (
	batchLookup batchOp = 1 << iota
	batchLookupDelete
	batchUpdate
	batchDelete
)

// batchOps returns what the kernel offers for m's type; everything for maps of
// a host's own.
func batchOps(m Map) batchOp {
	if m, ok := m.(interface{ batch() batchOp }); ok {
		return m.batch()
	}
	return batchLookup | batchLookupDelete | batchUpdate | batchDelete
}

// beginBatch checks what bpf_map_do_batch (kernel/bpf/syscall.c) checks, and
// the lengths, and returns the number of entries.
func beginBatch(m Map, op batchOp, keys, values []byte) (total int, err error) {
	if c, ok := m.(interface {
		mayRead() error
		mayWrite() error
	}); ok {
		if op&(batchLookup|batchLookupDelete) != 0 {
			err = c.mayRead()
		}
		if err == nil && op != batchLookup {
			err = c.mayWrite()
		}
		if err != nil {
			return 0, err
		}
	}
	spec := m.Spec()
	if batchOps(m)&op == 0 {
		return 0, fmt.Errorf("map %q: type %v has no such batch operation: %w", spec.Name, spec.Type, errno.ENOTSUPP)
	}
	if spec.KeySize == 0 || len(keys)%int(spec.KeySize) != 0 {
		return 0, fmt.Errorf("map %q: keys have %d bytes, not a multiple of %d: %w", spec.Name, len(keys), spec.KeySize, errno.EINVAL)
	}
	total = len(keys) / int(spec.KeySize)
	if want := total * spec.HostValueSize(); op != batchDelete && len(values) != want {
		return 0, fmt.Errorf("map %q: values of %d entries have %d bytes, not %d: %w", spec.Name, total, len(values), want, errno.EINVAL)
	}
	return total, nil
}

// checkBatchLock refuses flags with Lock for a map without spin locks.
func checkBatchLock(m Map, flags UpdateFlags) error {
	if c, ok := m.(interface{ checkLock(UpdateFlags) error }); ok {
		return c.checkLock(flags)
	}
	if flags&Lock != 0 {
		return fmt.Errorf("map %q: type %v has no spin locks: %w", m.Spec().Name, m.Spec().Type, errno.EINVAL)
	}
	return nil
}

func walkBatch(m Map, op batchOp, c *Cursor, keys, values []byte, flags UpdateFlags) (n int, err error) {
	total, err := beginBatch(m, op, keys, values)
	if err != nil {
		return 0, err
	}
	if err := checkBatchLock(m, flags); err != nil || total == 0 {
		return 0, err
	}
	k, v := int(m.Spec().KeySize), m.Spec().HostValueSize()
	at, key := c.key, make([]byte, k)
	var f *follower
	if h, ok := m.(interface{ follower(key []byte) *follower }); ok {
		f = h.follower(at)
	}
	for n < total {
		if f == nil {
			err = m.NextKey(at, key)
		} else if next, ok := f.next(); ok {
			copy(key, next)
		} else {
			err = errno.ENOENT
		}
		if err != nil {
			break
		}
		at = append(at[:0], key...)
		value := values[n*v:][:v]
		switch {
		case op == batchLookup && flags&Lock != 0:
			err = LookupLocked(m, key, value)
		case op == batchLookup:
			err = m.Lookup(key, value)
		case flags&Lock != 0:
			err = LookupAndDeleteLocked(m, key, value)
		default:
			if d, ok := m.(LookupDeleter); ok {
				err = d.LookupAndDelete(key, value)
			} else {
				err = errno.ENOTSUPP
			}
		}
		if errors.Is(err, errno.ENOENT) { // it went meanwhile
			err = nil
			continue
		}
		if err != nil {
			break
		}
		copy(keys[n*k:], key)
		n++
	}
	c.key = at
	if err == nil && f != nil && !f.more() {
		err = errno.ENOENT // a hash map says so at once when it is through
	}
	return n, err
}

package oracle

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/skepvm/skep/maps"
)

// A Map is a map of the kernel. Its owner closes it.
type Map struct {
	fd  int
	typ maps.Type
}

type mapCreateAttr struct {
	mapType, keySize, valueSize, maxEntries uint32
	flags, innerFD                          uint32
	_                                       [6]uint32 // NUMA node, name, device
	btfFD, btfKey, btfValue, _              uint32
	extra                                   uint64
}

// NewMap creates the map that s describes: type, sizes, flags, extra, and where
// Value has special fields.
// inner is the template of a map of maps, or nil.
func NewMap(s *maps.Spec, inner *Map) (*Map, error) {
	var pin runtime.Pinner
	attr := mapCreateAttr{
		mapType:    uint32(s.Type),
		keySize:    s.KeySize,
		valueSize:  s.ValueSize,
		maxEntries: s.MaxEntries,
		flags:      uint32(s.Flags),
		extra:      s.Extra,
	}
	if inner != nil {
		attr.innerFD = uint32(inner.fd)
	}
	if members := special(s.Value); len(members) > 0 {
		blob := valueBTF(s, members)
		load := btfLoadAttr{btf: pointer(&pin, blob), size: uint32(len(blob))}
		types, err := bpf(btfLoad, &load, &pin)
		if err != nil {
			return nil, fmt.Errorf("loading BTF: %w", err)
		}
		defer unix.Close(int(types))
		attr.btfFD, attr.btfKey, attr.btfValue = uint32(types), 1, uint32(len(members))+2
	}
	fd, err := bpf(mapCreate, &attr, &pin)
	if err != nil {
		return nil, err
	}
	return &Map{int(fd), s.Type}, nil
}

// Close gives up the map. A second Close does nothing.
func (m *Map) Close() {
	if m.fd >= 0 {
		unix.Close(m.fd)
		m.fd = -1
	}
}

// FD returns the map's file descriptor, for maps of maps.
func (m *Map) FD() int { return m.fd }

type mapElemAttr struct {
	fd, _             uint32
	key, value, flags uint64
}

// elem runs one operation on an entry. A nil slice is a null pointer.
func (m *Map) elem(cmd uintptr, key, value []byte, flags maps.UpdateFlags) error {
	var pin runtime.Pinner
	attr := mapElemAttr{
		fd:    uint32(m.fd),
		key:   pointer(&pin, key),
		value: pointer(&pin, value),
		flags: uint64(flags),
	}
	_, err := bpf(cmd, &attr, &pin)
	note(nil, []maps.Type{m.typ})
	return err
}

// Lookup copies the value for key into value; of a per-CPU map, one value per
// possible CPU, each rounded up to 8 bytes.
func (m *Map) Lookup(key, value []byte, flags maps.UpdateFlags) error {
	return m.elem(mapLookup, key, value, flags)
}

// Update stores value.
func (m *Map) Update(key, value []byte, flags maps.UpdateFlags) error {
	return m.elem(mapUpdate, key, value, flags)
}

// Delete removes key.
func (m *Map) Delete(key []byte) error { return m.elem(mapDelete, key, nil, 0) }

// NextKey writes the key that follows key, or the first if key is nil.
func (m *Map) NextKey(key, next []byte) error { return m.elem(mapNextKey, key, next, 0) }

// LookupAndDelete copies the value for key into value and removes it.
func (m *Map) LookupAndDelete(key, value []byte, flags maps.UpdateFlags) error {
	return m.elem(mapLookupDelete, key, value, flags)
}

// Freeze makes the map read-only for bpf(2).
func (m *Map) Freeze() error { return m.elem(mapFreeze, nil, nil, 0) }

type mapBatchAttr struct {
	in, out, keys, values uint64
	count, fd             uint32
	elemFlags, _          uint64
}

// A BatchOp is one of the operations on many entries.
type BatchOp uintptr

const (
	BatchLookup       BatchOp = mapLookupBatch
	BatchLookupDelete BatchOp = mapLookupDelBatch
	BatchUpdate       BatchOp = mapUpdateBatch
	BatchDelete       BatchOp = mapDeleteBatch
)

// Batch runs op on up to count entries and returns how many it reached, also
// with an error. Lookups start after the position in (nil: at the start) and
// write the next position to out.
func (m *Map) Batch(op BatchOp, in, out, keys, values []byte, count uint32, elemFlags maps.UpdateFlags) (uint32, error) {
	var pin runtime.Pinner
	attr := mapBatchAttr{
		in:        pointer(&pin, in),
		out:       pointer(&pin, out),
		keys:      pointer(&pin, keys),
		values:    pointer(&pin, values),
		count:     count,
		fd:        uint32(m.fd),
		elemFlags: uint64(elemFlags),
	}
	_, err := bpf(uintptr(op), &attr, &pin)
	return attr.count, err
}

package maps

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/vcpu"
)

// NumCPU returns the number of virtual CPUs: how many values an entry of a
// per-CPU map has.
func NumCPU() int { return vcpu.Count() }

// constructors makes a map from a description that the type's check passed.
var constructors = map[Type]struct {
	check func(*Spec) error
	make  func(*Spec) (Map, error)
}{
	Array:       {checkArray, newArray},
	Hash:        {checkHash, newHash},
	ProgArray:   {checkFDArray, newProgArray},
	RingBuf:     {checkRingBuf, newRingBuf},
	UserRingBuf: {checkRingBuf, newUserRingBuf},
	PerCPUHash:  {checkHash, newPerCPUHash},
	PerCPUArray: {checkArray, newPerCPUArray},
	Queue:       {checkQueue, newQueue},
	Stack:       {checkQueue, newQueue},
	BloomFilter: {checkBloom, newBloom},
	LPMTrie:     {checkLPM, newLPM},
	ArrayOfMaps: {checkArrayOfMaps, newArrayOfMaps},
	HashOfMaps:  {checkHashOfMaps, newHashOfMaps},

	LRUHash:       {checkHash, newLRUHash},
	LRUPerCPUHash: {checkHash, newLRUPerCPUHash},

	PerfEventArray: {checkPerfEventArray, newPerfEventArray},

	DevMap:     {checkTargets, newDevMap},
	DevMapHash: {checkTargets, newDevMapHash},
	CPUMap:     {checkTargets, newCPUMap},
	XSKMap:     {checkTargets, newXSKMap},

	StackTrace:  {checkStackTrace, newStackTrace},
	CgroupArray: {checkFDArray, newCgroupArray},

	SockMap:            {checkSockets, newSockArray},
	SockHash:           {checkSockets, newSockHash},
	ReuseportSockArray: {checkSockArray, newSockArray},
}

// New makes the map that spec describes, of which it keeps a copy, and stores
// those of spec.Contents that are plain values; programs and inner maps are
// left to the caller, who has them.
//
// Parameters are checked as bpf(2) BPF_MAP_CREATE does, with the same errno. A
// map whose entries cannot fit in memory is ENOMEM.
func New(spec *Spec) (Map, error) {
	if spec == nil {
		return nil, fmt.Errorf("no map specification: %w", errno.EINVAL)
	}
	c, ok := constructors[spec.Type]
	if !ok {
		return nil, fmt.Errorf("map %q: type %v is not supported: %w", spec.Name, spec.Type, errno.EINVAL)
	}
	if err := checkCommon(spec); err != nil {
		return nil, err
	}
	if err := c.check(spec); err != nil {
		return nil, err
	}
	if err := checkSpecial(spec); err != nil {
		return nil, err
	}
	m, err := c.make(spec)
	if err != nil {
		return nil, err
	}
	if err := fill(m, spec); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// fill stores the contents that are values, and freezes. Flags restrict what
// comes later, so it goes past them.
func fill(m Map, spec *Spec) error {
	w, ok := m.(interface{ initial(key, value []byte) error })
	for i, e := range spec.Contents {
		if e.Value == nil {
			continue
		}
		err := error(errno.ENOTSUPP)
		if ok {
			err = w.initial(e.Key, e.Value)
		}
		if err != nil {
			return fmt.Errorf("map %q: contents, entry %d: %w", spec.Name, i, err)
		}
	}
	if !spec.Frozen {
		return nil
	}
	f, ok := m.(Freezer)
	if !ok {
		return refuse(spec, errno.ENOTSUPP, "a %v cannot be frozen", spec.Type)
	}
	if err := f.Freeze(); err != nil && !errors.Is(err, errno.EPERM) { // EPERM: read-only already
		return err
	}
	return nil
}

// refuse returns the error for a description that no map can have.
func refuse(spec *Spec, e errno.Errno, format string, args ...any) error {
	return fmt.Errorf("map %q: %s: %w", spec.Name, fmt.Sprintf(format, args...), e)
}

// maxBytes bounds the memory of one map: 2 GiB, or 256 MiB on 32-bit hosts.
const maxBytes = 1 << (28 + 3*(^uint(0)>>63))

// memoryLimit returns how much memory one map may take: maxBytes, or the memory
// limit of the process (GOMEMLIMIT) if that is less. The Go runtime ends the
// process when the system has no memory left; this comes before.
func memoryLimit() uint64 {
	return min(maxBytes, uint64(max(debug.SetMemoryLimit(-1), 0)))
}

// checkMemory refuses a map of which n entries of size bytes would not fit.
func checkMemory(spec *Spec, n, size uint64) error {
	if limit := memoryLimit(); n != 0 && size > limit/n {
		return refuse(spec, errno.ENOMEM, "%d entries of %d bytes in memory are more than the limit of %d bytes", n, size, limit)
	}
	return nil
}

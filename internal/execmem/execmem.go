// Package execmem holds machine code: memory that is writable first and
// executable afterwards, never both.
//
// Code goes through four steps. A Batch collects the code of programs that are
// loaded together; Seal maps fresh pages for all of it, readable and writable,
// copies the code, and turns the pages readable and executable; Block.Addr says
// where it is; Free unmaps the pages.
//
// What this gives:
//
//   - A page is written before any of it can run and never after. Programs of
//     one batch share pages; programs of two batches never do, because adding
//     to a page would make code that may be running writable.
//   - What Seal returns may be published to other goroutines like any value:
//     instruction caches are in order on every CPU. On arm64 that takes a flush,
//     and a barrier that makes every CPU forget what it had prefetched, since
//     an address may have held other code before (Arm ARM, B2.4.4; membarrier(2),
//     MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE). Emulators need neither, and
//     do not show when one is missing.
//   - A host that refuses executable memory gives an *Error, which says what
//     was refused; one for which this package knows no way, ErrUnsupported.
//     Either is a reason to interpret, and none to fail.
//
// What it does not know is when code has stopped running: Free is for a caller
// who does.
package execmem

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
)

// ErrUnsupported means that there is no executable memory on this kind of host.
var ErrUnsupported = errors.New("no executable memory")

// An Error is a refusal by the host, such as a kernel that allows no new code
// in the process (PR_SET_MDWE, seccomp, SELinux's execmem).
type Error struct {
	Op   string // what was asked: "map", "seal", "free", "synchronise"
	Size int    // of how many bytes
	Err  error  // the host's answer
}

// Error returns, for example, "execmem: seal 4096 bytes: permission denied".
func (e *Error) Error() string { return fmt.Sprintf("execmem: %s %d bytes: %v", e.Op, e.Size, e.Err) }

func (e *Error) Unwrap() error { return e.Err }

// A Block is sealed code. It may be used by any number of goroutines.
type Block struct {
	mem  []byte // executable, hence never written; nil when freed
	addr uintptr
	mu   sync.Mutex
}

// mapped counts the bytes of all blocks.
var mapped atomic.Int64

// Mapped returns how many bytes of pages the process's blocks take.
func Mapped() int64 { return mapped.Load() }

// seal maps pages, lets fill write them, and makes them executable.
func seal(size int, fill func(mem []byte)) (*Block, error) {
	page := os.Getpagesize()
	if size <= 0 || size > maxSize {
		return nil, fmt.Errorf("execmem: %d bytes of code; the limit is %d", size, maxSize)
	}
	size = (size + page - 1) &^ (page - 1)
	if err := host.prepare(); err != nil {
		return nil, err
	}
	mem, err := host.mapRW(size)
	if err != nil {
		return nil, &Error{"map", size, err}
	}
	fill(mem)
	if err := host.makeRX(mem); err != nil {
		return nil, errors.Join(&Error{"seal", size, err}, free(mem))
	}
	if err := host.sync(mem); err != nil {
		return nil, errors.Join(&Error{"synchronise", size, err}, free(mem))
	}
	mapped.Add(int64(size))
	return &Block{mem: mem, addr: address(mem)}, nil
}

// maxSize is how much code one block may hold, so that a branch reaches from
// any place to any other on every architecture (arm64, B: 128 MB).
const maxSize = 64 << 20

func free(mem []byte) error {
	if err := host.unmap(mem); err != nil {
		return &Error{"free", len(mem), err}
	}
	return nil
}

// Addr returns the address of the first byte; it is a multiple of the page
// size.
func (b *Block) Addr() uintptr { return b.addr }

// Size returns how many bytes of pages the block takes.
func (b *Block) Size() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.mem)
}

// Code returns n bytes of code at offset off, to be read only, for as long as
// the block is not freed. Writing them faults.
func (b *Block) Code(off, n int) []byte { return b.mem[off : off+n : off+n] }

// Free unmaps the block. The caller knows that no CPU is in it, and that none
// will enter it again. A second Free does nothing.
func (b *Block) Free() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mem == nil {
		return nil
	}
	if err := free(b.mem); err != nil {
		return err
	}
	mapped.Add(-int64(len(b.mem)))
	b.mem = nil
	return nil
}

// Available returns nil if the host lets code be made, and otherwise why not.
// The answer is found once, by making some.
var Available = sync.OnceValue(func() error {
	var batch Batch
	batch.Add([]byte{0})
	b, err := batch.Seal()
	if err != nil {
		return err
	}
	return b.Free()
})

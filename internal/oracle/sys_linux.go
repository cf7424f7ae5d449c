package oracle

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/prog"
)

// Commands of bpf(2) (include/uapi/linux/bpf.h, enum bpf_cmd).
const (
	mapCreate          = 0
	mapLookup          = 1
	mapUpdate          = 2
	mapDelete          = 3
	mapNextKey         = 4
	progLoad           = 5
	progTestRun        = 10
	objGetInfo         = 15
	btfLoad            = 18
	mapLookupDelete    = 21
	mapFreeze          = 22
	mapLookupBatch     = 24
	mapLookupDelBatch  = 25
	mapUpdateBatch     = 26
	mapDeleteBatch     = 27
	sleepable          = 1 << 4 // BPF_F_SLEEPABLE, which the kernel demands of syscall programs
	firstLogSize       = 1 << 16
	largestLogSize     = 1 << 24
	testRunBufferSlack = 1 << 9
)

// bpf calls bpf(2) with attr, whose pointers p pins.
func bpf[A any](cmd uintptr, attr *A, p *runtime.Pinner) (uintptr, error) {
	return bpfUntil(new(atomic.Bool), cmd, attr, p)
}

// bpfUntil is bpf, but a call that a signal interrupts is repeated only as long
// as late is false.
func bpfUntil[A any](late *atomic.Bool, cmd uintptr, attr *A, p *runtime.Pinner) (uintptr, error) {
	p.Pin(attr)
	defer p.Unpin()
	for {
		r, _, e := unix.Syscall(unix.SYS_BPF, cmd, uintptr(unsafe.Pointer(attr)), unsafe.Sizeof(*attr))
		switch {
		case e == 0:
			return r, nil
		case (e == unix.EINTR || e == unix.EAGAIN && cmd == progLoad) && !late.Load():
			continue
		}
		return 0, asErrno(e)
	}
}

// pointer returns the address of b's bytes, which stay where they are until p
// is unpinned; 0 if b is empty.
func pointer(p *runtime.Pinner, b []byte) uint64 {
	if len(b) == 0 {
		return 0
	}
	p.Pin(&b[0])
	return uint64(uintptr(unsafe.Pointer(&b[0])))
}

// Available reports why the kernel cannot be asked; nil if it can.
var Available = sync.OnceValue(func() error {
	exit := []prog.Insn{{Op: 0xb7}, {Op: 0x95}}
	p, _, err := Load(LoadOptions{Type: SocketFilter, Insns: exit})
	switch {
	case errors.Is(err, errno.EPERM):
		return errors.New("bpf(2) is not permitted: run as root")
	case err != nil:
		return fmt.Errorf("bpf(2): %w", err)
	}
	p.Close()
	return nil
})

// PossibleCPUs returns how many values an entry of a per-CPU map has.
var PossibleCPUs = sync.OnceValues(func() (int, error) {
	b, err := os.ReadFile("/sys/devices/system/cpu/possible")
	if err != nil {
		return 0, err
	}
	text := strings.TrimSpace(string(b)) // "0-3", or "0"
	last := text[strings.LastIndexAny(text, "-,")+1:]
	n, err := strconv.Atoi(last)
	if err != nil {
		return 0, fmt.Errorf("possible CPUs %q: %w", text, err)
	}
	return n + 1, nil
})

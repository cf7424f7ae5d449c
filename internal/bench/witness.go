//go:build linux && amd64

package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A witness sees when a processor was there for nobody: when what is below this
// kernel, or something in it that cannot be preempted, had it. It is a process of
// its own, with a thread on each processor that goes before all others, sleeps a
// little and notes when it was late. The programs that are measured cannot hold it
// up.
type witness struct {
	cmd *exec.Cmd
	end chan struct{} // closed when there is no more to read

	epoch time.Time // and what the witness's clock said then
	zero  int64

	mu   sync.Mutex
	gaps [][2]int64 // when the witness slept on, by its clock
}

const (
	// nap is how long the witness sleeps, and late by how much longer it must have
	// slept for somebody to have had its processor.
	nap  = 100 * time.Microsecond
	late = 100 * time.Microsecond
	// witnessFlag makes a process of this program a witness.
	witnessFlag = "witness"
	// first is the priority before which no other is (sched(7)).
	first = 99
)

// newWitness starts a witness. The caller closes it.
func newWitness() (*witness, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	w := &witness{cmd: exec.Command(self, "-"+witnessFlag), end: make(chan struct{}), epoch: time.Now(), zero: monotonic()}
	w.cmd.Stderr = os.Stderr
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := w.cmd.Start(); err != nil {
		return nil, err
	}
	var ready [16]byte
	if _, err := io.ReadFull(out, ready[:]); err != nil {
		w.cmd.Wait()
		return nil, fmt.Errorf("a witness that goes before all others: %w", err)
	}
	go w.listen(out)
	return w, nil
}

func (w *witness) listen(out io.Reader) {
	defer close(w.end)
	var b [16]byte
	for {
		if _, err := io.ReadFull(out, b[:]); err != nil {
			return
		}
		w.mu.Lock()
		w.gaps = append(w.gaps, [2]int64{int64(binary.NativeEndian.Uint64(b[:])), int64(binary.NativeEndian.Uint64(b[8:]))})
		w.mu.Unlock()
	}
}

// close ends the witness.
func (w *witness) close() {
	w.cmd.Process.Kill()
	<-w.end
	w.cmd.Wait()
}

// saw reports whether a processor was there for nobody in some of the time d from
// from on. It is asked a little later: a witness has to wake first.
func (w *witness) saw(from time.Time, d time.Duration) bool {
	begin := w.zero + int64(from.Sub(w.epoch))
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := len(w.gaps) - 1; i >= 0; i-- {
		if g := w.gaps[i]; g[0] <= begin+int64(d) && begin <= g[1] {
			return true
		}
	}
	return false
}

// bearWitness is all that a witness does.
func bearWitness() error {
	debug.SetGCPercent(-1)
	ready := make(chan error)
	for cpu := range runtime.NumCPU() {
		go func() {
			runtime.LockOSThread()
			var set unix.CPUSet
			set.Set(cpu)
			err := unix.SchedSetaffinity(0, &set)
			if err == nil {
				err = unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: first}, 0)
			}
			ready <- err
			if err == nil {
				keepWatch()
			}
		}()
	}
	for range runtime.NumCPU() {
		if err := <-ready; err != nil {
			return err
		}
	}
	if _, err := os.Stdout.Write(make([]byte, 16)); err != nil {
		return err
	}
	select {} // until it is killed
}

// keepWatch notes when this thread is late.
func keepWatch() {
	ts := unix.NsecToTimespec(int64(nap))
	var b [16]byte
	for {
		asleep := monotonic()
		// As a raw system call: whether the Go scheduler has time does not matter.
		unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&ts)), 0, 0)
		if awake := monotonic(); awake-asleep > int64(nap+late) {
			binary.NativeEndian.PutUint64(b[:], uint64(asleep))
			binary.NativeEndian.PutUint64(b[8:], uint64(awake))
			if _, err := unix.Write(1, b[:]); err != nil {
				os.Exit(1)
			}
		}
	}
}

// monotonic returns what the clock says that Go's time is measured by, too.
func monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("BUG: " + err.Error())
	}
	return ts.Nano()
}

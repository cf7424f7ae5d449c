package oracle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// A Program is a program that the kernel accepted. Its owner closes it.
type Program struct {
	fd      int
	kind    uint32
	helpers []int32 // that it calls
	types   []maps.Type
}

type progLoadAttr struct {
	progType, insnCount uint32
	insns, license      uint64
	logLevel, logSize   uint32
	logBuf              uint64
	_, flags            uint32
	_                   [5]uint32 // name, device
	attach              uint32
	btfFD, funcInfoSize uint32
	funcInfo            uint64
	funcInfoCount, _    uint32
	_                   [3]uint64 // line info, attach target, CO-RE count
	fdArray             uint64
	_                   [2]uint64 // CO-RE relocations, size of the log
}

// Load gives a program to the kernel. The log is what its verifier printed,
// also if it accepted the program; err is an errno.Errno.
func Load(o LoadOptions) (p *Program, log string, err error) {
	insns := slices.Clone(o.Insns)
	var types []maps.Type
	for _, m := range o.Maps {
		types = append(types, m.typ)
	}
	fds := make([]byte, 0, 4*len(o.Maps))
	for _, m := range o.Maps {
		fds = binary.NativeEndian.AppendUint32(fds, uint32(m.fd))
	}
	if o.Maps != nil {
		indexMaps(insns)
	}
	license := o.License
	if license == "" {
		license = "GPL"
	}
	var pin runtime.Pinner
	attr := progLoadAttr{
		progType:  o.Type,
		insnCount: uint32(len(insns)),
		logLevel:  max(o.LogLevel, 1),
		flags:     o.Flags,
		attach:    o.Attach,
	}
	if o.Type == Syscall {
		attr.flags |= sleepable
	}
	if !o.NoFuncInfo {
		btf, info, n, err := funcInfo(insns, o.Globals)
		if err != nil {
			return nil, "", err
		}
		if btf >= 0 {
			defer unix.Close(btf)
			attr.btfFD, attr.funcInfo, attr.funcInfoCount, attr.funcInfoSize = uint32(btf), pointer(&pin, info), uint32(n), 8
		}
	}
	attr.insns = pointer(&pin, prog.Encode(insns))
	attr.license = pointer(&pin, append([]byte(license), 0))
	attr.fdArray = pointer(&pin, fds)
	if o.NoLog {
		attr.logLevel = 0
		fd, err := loadWithin(&attr, &pin, o.Within)
		if err != nil {
			return nil, "", err
		}
		return &Program{int(fd), o.Type, calls(o.Insns), types}, "", nil
	}
	defer pin.Unpin()
	for size := firstLogSize; ; size *= 16 {
		buf := make([]byte, size)
		var logPin runtime.Pinner
		attr.logBuf, attr.logSize = pointer(&logPin, buf), uint32(size)
		fd, err := loadWithin(&attr, &logPin, o.Within)
		if errors.Is(err, errno.ENOSPC) && size < largestLogSize {
			continue
		}
		text, _, _ := bytes.Cut(buf, []byte{0})
		if err != nil {
			return nil, string(text), err
		}
		return &Program{int(fd), o.Type, calls(o.Insns), types}, string(text), nil
	}
}

// loadWithin calls bpf(2) and, if limit is not 0, interrupts it after that time: the
// kernel's verifier looks for signals between instructions.
func loadWithin(attr *progLoadAttr, p *runtime.Pinner, limit time.Duration) (uintptr, error) {
	if limit == 0 {
		return bpf(progLoad, attr, p)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	self, thread := unix.Getpid(), unix.Gettid()
	var late atomic.Bool
	done := make(chan struct{})
	timer := time.AfterFunc(limit, func() {
		late.Store(true)
		for { // more than once: the call may not have begun
			_ = unix.Tgkill(self, thread, unix.SIGURG) // to Go's runtime, a preemption
			select {
			case <-done:
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
	defer close(done)
	defer timer.Stop()
	return bpfUntil(&late, progLoad, attr, p)
}

// indexMaps turns map references into indices of the file descriptor array.
func indexMaps(insns []prog.Insn) {
	for pc := 0; pc < len(insns); pc++ {
		in := &insns[pc]
		if !in.IsWide() {
			continue
		}
		pc++
		switch in.Src {
		case isa.PseudoMapFD:
			in.Src = isa.PseudoMapIdx
		case isa.PseudoMapValue:
			in.Src = isa.PseudoMapIdxValue
		}
	}
}

// Close gives up the program. A second Close does nothing.
func (p *Program) Close() {
	if p.fd >= 0 {
		unix.Close(p.fd)
		p.fd = -1
	}
}

// FD returns the program's file descriptor, for prog arrays.
func (p *Program) FD() int { return p.fd }

type testRunAttr struct {
	progFD, retval          uint32
	dataSizeIn, dataSizeOut uint32
	dataIn, dataOut         uint64
	repeat, duration        uint32
	ctxSizeIn, ctxSizeOut   uint32
	ctxIn, ctxOut           uint64
	flags                   uint32
	_                       [3]uint32 // CPU, batch size
}

// Run runs the program once, or Repeat times, on in.
func (p *Program) Run(in RunInput) (RunResult, error) {
	var pin runtime.Pinner
	ctx := slices.Clone(in.Ctx)
	data := slices.Clone(in.Data)
	attr := testRunAttr{
		progFD:     uint32(p.fd),
		dataIn:     pointer(&pin, data),
		dataSizeIn: uint32(len(data)),
		ctxIn:      pointer(&pin, ctx),
		ctxSizeIn:  uint32(len(ctx)),
		repeat:     in.Repeat,
		flags:      in.Flags,
	}
	var dataOut, ctxOut []byte
	if p.kind != Syscall && p.kind != RawTracepoint { // the kernel writes a syscall's context in place
		dataOut = make([]byte, len(data)+max(in.Room, testRunBufferSlack))
		ctxOut = make([]byte, len(ctx))
		attr.dataOut, attr.dataSizeOut = pointer(&pin, dataOut), uint32(len(dataOut))
		attr.ctxOut, attr.ctxSizeOut = pointer(&pin, ctxOut), uint32(len(ctxOut))
	}
	if _, err := bpf(progTestRun, &attr, &pin); err != nil {
		return RunResult{}, err
	}
	note(p.helpers, p.types)
	if ctxOut == nil {
		ctxOut = ctx
	}
	return RunResult{
		Retval:   attr.retval,
		Data:     dataOut[:min(int(attr.dataSizeOut), len(dataOut))],
		Ctx:      ctxOut,
		Duration: attr.duration,
	}, nil
}

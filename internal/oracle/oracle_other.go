//go:build !linux

package oracle

import (
	"errors"

	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// Elsewhere than on Linux there is no kernel to ask, and every question gives
// errNoKernel.
var errNoKernel = errors.New("the host is not Linux")

// A Program is a program that the kernel accepted: none here.
type Program struct{}

// A Map is a map of the kernel: none here.
type Map struct{}

// A BatchOp is one of the operations on many entries.
type BatchOp uintptr

const (
	BatchLookup BatchOp = iota
	BatchLookupDelete
	BatchUpdate
	BatchDelete
)

func Available() error                           { return errNoKernel }
func PossibleCPUs() (int, error)                 { return 0, errNoKernel }
func Load(LoadOptions) (*Program, string, error) { return nil, "", errNoKernel }
func (*Program) Close()                          {}
func (*Program) FD() int                         { return -1 }
func (*Program) Run(RunInput) (RunResult, error) { return RunResult{}, errNoKernel }

// A UserRing is a user ring buffer of the kernel's: none here.
type UserRing struct{}

func MapUserRing(*Map, int) (*UserRing, error) { return nil, errNoKernel }
func (*UserRing) Close()                       {}
func (*UserRing) Taken() uint64                { return 0 }
func (*UserRing) Put(uint32, []byte) uint64    { return 0 }
func (*UserRing) SetHeader(uint64, uint32)     {}

func Kfunc(string) (int32, error)        { return 0, errNoKernel }
func Kfuncs([]prog.Insn, []string) error { return errNoKernel }

func NewMap(*maps.Spec, *Map) (*Map, error)                        { return nil, errNoKernel }
func (*Map) Close()                                                {}
func (*Map) FD() int                                               { return -1 }
func (*Map) Lookup(_, _ []byte, _ maps.UpdateFlags) error          { return errNoKernel }
func (*Map) Update(_, _ []byte, _ maps.UpdateFlags) error          { return errNoKernel }
func (*Map) Delete([]byte) error                                   { return errNoKernel }
func (*Map) NextKey(_, _ []byte) error                             { return errNoKernel }
func (*Map) LookupAndDelete(_, _ []byte, _ maps.UpdateFlags) error { return errNoKernel }
func (*Map) Freeze() error                                         { return errNoKernel }
func (*Map) Batch(BatchOp, []byte, []byte, []byte, []byte, uint32, maps.UpdateFlags) (uint32, error) {
	return 0, errNoKernel
}

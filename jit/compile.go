// Package jit compiles verified programs to machine code.
//
// Compile is a road of three steps: package opt says what lowering needs to
// know, the back end of the target architecture lowers instruction by
// instruction, and the result, a Code, is bytes that belong nowhere yet. Link
// binds them to maps; whoever loads the program makes them executable and
// enters them through package rt. Both back ends are built on every host.
//
// Machine code trusts the proof: it checks no access, so only what
// verifier.Verify accepted can be compiled, and instructions that the proof
// did not reach become traps. What it does check is how long it runs: the
// meter, at the head of each loop and on entry to each function.
package jit

import (
	"fmt"
	"runtime"
	"sync"

	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/jit/internal/amd64"
	"github.com/skepvm/skep/jit/internal/arm64"
	"github.com/skepvm/skep/jit/internal/layout"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/verifier"
)

// ErrUnsupported means that a program is safe and yet cannot be compiled, or
// that there is no back end for an architecture.
var ErrUnsupported = opt.ErrUnsupported

// A Target is what code is made for.
type Target struct {
	Arch     string // as in GOARCH
	Features rt.Features
	// Maps says where the maps that the code will be linked with keep their
	// values, by index; nil where only the map knows. Code then calls the
	// host to look a key up.
	Maps []*maps.Layout
	// Random: get_prandom_u32, where nothing else stands for it, may return
	// numbers of a generator in the rt.Context.
	Random bool
}

// Host returns the target that this process runs on. The error says why there
// is none.
func Host() (Target, error) {
	if backends[runtime.GOARCH] == nil || !rt.Supported {
		return Target{}, fmt.Errorf("no back end for %s: %w", runtime.GOARCH, ErrUnsupported)
	}
	return Target{Arch: runtime.GOARCH, Features: rt.HostFeatures()}, nil
}

// TargetFor returns a target of the given architecture, as in GOARCH: this
// process's if that is its own, else a CPU that has all that code can use.
func TargetFor(arch string) (Target, error) {
	if host, err := Host(); err == nil && arch == host.Arch {
		return host, nil
	}
	if backends[arch] == nil {
		return Target{}, fmt.Errorf("no back end for %q: %w", arch, ErrUnsupported)
	}
	return Target{Arch: arch, Features: rt.AllFeatures()}, nil
}

// A backend is one architecture.
type backend struct {
	lower    func(p *opt.Program, t layout.Target) (*layout.Result, error)
	relocate func(code []byte, off int, v uint64)
}

var backends = map[string]*backend{
	"amd64": {lowerAMD64, amd64.Relocate},
	"arm64": {lowerARM64, arm64.Relocate},
}

var (
	amd64Asms = sync.Pool{New: func() any { return amd64.NewAsm() }}
	arm64Asms = sync.Pool{New: func() any { return arm64.NewAsm() }}
)

func lowerAMD64(p *opt.Program, t layout.Target) (*layout.Result, error) {
	a := amd64Asms.Get().(*amd64.Asm)
	defer amd64Asms.Put(a)
	return amd64.Lower(a, p, t)
}

func lowerARM64(p *opt.Program, t layout.Target) (*layout.Result, error) {
	a := arm64Asms.Get().(*arm64.Asm)
	defer arm64Asms.Put(a)
	return arm64.Lower(a, p, t)
}

// Compile returns the machine code of v's program for t. The error wraps
// ErrUnsupported. Any number of calls may run at the same time.
func Compile(v *verifier.Verified, t Target) (*Code, error) {
	b := backends[t.Arch]
	if b == nil {
		return nil, fmt.Errorf("no back end for %q: %w", t.Arch, ErrUnsupported)
	}
	p, err := opt.Prepare(v, t.Maps)
	if err != nil {
		return nil, err
	}
	defer p.Free()
	if p.CallX {
		return nil, fmt.Errorf("%s: a call through a register, of different functions on different paths: %w", p.Name, ErrUnsupported)
	}
	r, err := b.lower(p, layout.Target{Features: t.Features, Random: t.Random})
	if err != nil {
		return nil, err
	}
	return newCode(p, r, b), nil
}

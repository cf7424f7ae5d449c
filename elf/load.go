// Package elf reads eBPF objects: what clang writes (Open, Load), and what
// cilium's library holds in memory (FromSpec, FromInstructions). The result is
// a *prog.Object, ready to be changed, linked and loaded.
//
// An object is read in one pass over its parts: sections and symbols, types
// (BTF), maps, data sections, functions, relocations, programs. Instructions
// keep every reserved bit; nothing is decoded here.
//
// A fault in one function is kept in its Func.Err and fails only the programs
// that reach it. Faults of the file's structure, its BTF or a map definition
// fail the object. Input is never trusted: any bytes give a result or an
// error, in time and memory proportional to their number.
//
// The package asks nothing of the host: target types, kernel configuration and
// symbol addresses come from Options.
package elf

import (
	debugelf "debug/elf"
	"errors"
	"io"
	"os"

	ciliumbtf "github.com/cilium/ebpf/btf"

	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// Options says what an object may ask of its host. The zero value suits
// objects that ask nothing.
type Options struct {
	// Platform names program types by section. Default: linux.Platform.
	Platform hook.Platform

	// BTF describes the types that CO-RE relocations are resolved against.
	// Programs without such relocations need none, nor do those whose
	// relocations are all of types that are the same on every kernel: contexts,
	// arguments of helpers, and headers of packets.
	BTF *ciliumbtf.Spec

	// Kconfig gives the variables that programs declare with __kconfig, as
	// text in the form of a kernel's .config: y, m, n, a number, or a quoted
	// string; LINUX_KERNEL_VERSION is KERNEL_VERSION(a, b, c) as a number.
	// What it leaves out has the value of KconfigDefaults, or is 0 if the
	// program declares it __weak; a program that reads any other does not load.
	Kconfig map[string]string

	// Ksyms gives the addresses of variables that programs declare with
	// __ksym, and of any other undefined symbol whose address they take.
	Ksyms map[string]uint64
}

// Open reads the object in the file at path.
func Open(path string, opts ...Options) (*prog.Object, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var o Options
	if len(opts) > 0 {
		o = opts[0]
	}
	return Load(f, path, o)
}

// Load reads the object that r holds; name stands for it in messages. The
// error, if any, is an *Error.
func Load(r io.ReaderAt, name string, opts Options) (*prog.Object, error) {
	if opts.Platform == nil {
		opts.Platform = linux.Platform
	}
	fail := func(err error) error {
		if e, ok := err.(*Error); ok {
			return e
		}
		return &Error{File: name, PC: -1, Err: err}
	}
	if r == nil {
		return nil, fail(errors.New("nothing to read"))
	}
	data, err := readAll(r)
	if err != nil {
		return nil, fail(err)
	}
	f, err := parseFile(data)
	if err != nil {
		return nil, fail(err)
	}
	l := &loader{
		file: f, opts: opts, obj: &prog.Object{File: name},
		mapsAt: map[int][]mapAt{}, dataAt: map[int]*maps.Spec{}, used: map[*maps.Spec]bool{},
		code: map[int]*code{},
	}
	for _, step := range []func() error{
		l.readLicense,
		l.readTypes,
		l.readLegacyMaps,
		l.readBTFMaps,
		l.readData,
		l.readKconfig,
		l.readFunctions,
		l.readStructOps,
		l.fillMaps,
		l.listPrograms,
		l.dropUnusedData,
	} {
		if err := step(); err != nil {
			return nil, fail(err)
		}
	}
	return l.obj, nil
}

// A loader holds an object while it is read.
type loader struct {
	*file
	opts Options
	obj  *prog.Object

	types *typeTable // nil without BTF
	ext   *extTable  // nil without .BTF.ext

	mapsAt  map[int][]mapAt     // by section: map definitions, sorted by offset
	dataAt  map[int]*maps.Spec  // by section
	used    map[*maps.Spec]bool // data maps that something refers to
	pending []pendingValues     // maps whose initial contents name other things
	code    map[int]*code       // by section
	order   []*code             // in file order
	kconfig *kconfig            // nil if the object declares none
	core    *coreTable          // nil until a function needs it
}

func (l *loader) readLicense() error {
	s := l.named("license")
	if s == nil {
		return nil
	}
	text, err := cstring(string(s.data)+"\x00", 0)
	if err != nil {
		return l.errorf(s.name, "", "%w", err)
	}
	l.obj.License = text
	return nil
}

func (l *loader) readTypes() error {
	s := l.named(".BTF")
	if s == nil || s.typ == debugelf.SHT_NOBITS {
		return nil
	}
	t, err := decodeBTF(s.data)
	if err != nil {
		return l.errorf(s.name, "", "%w", err)
	}
	l.types = t
	if s = l.named(".BTF.ext"); s == nil || s.typ == debugelf.SHT_NOBITS {
		return nil
	}
	if l.ext, err = decodeExt(s.data, t); err != nil {
		return l.errorf(s.name, "", "%w", err)
	}
	return nil
}

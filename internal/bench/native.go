//go:build linux && amd64

package main

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"syscall"
	"time"
	"unsafe"

	"github.com/skepvm/skep/internal/rt"
)

// stackSize is what C may use.
const stackSize = 1 << 16

// A native is a C program that was compiled for this host.
type native struct {
	run  rt.Run
	code uintptr    // of programs/enter.S
	ctx  [2]uintptr // struct xdp_md of programs/bench.h
	pkt  []byte
}

// newNative loads the native form of b; nil if it has none.
func newNative(dir string, b *benchmark, pkt []byte) (*native, error) {
	fn, err := symbol(filepath.Join(dir, b.object+".native.o"), b.name)
	if err != nil || fn == 0 {
		return nil, err
	}
	enter, err := symbol(filepath.Join(dir, "enter.native.o"), "enter")
	if err != nil {
		return nil, err
	}
	room, err := pages(stackSize + len(pkt))
	if err != nil {
		return nil, err
	}
	n := &native{code: enter, pkt: room[stackSize:]}
	copy(n.pkt, pkt)
	n.ctx[0] = uintptr(unsafe.Pointer(&n.pkt[0]))
	n.ctx[1] = n.ctx[0] + uintptr(len(pkt))
	n.run.Context = rt.NewContext(0)
	n.run.Context.Arg = [5]uint64{uint64(uintptr(unsafe.Pointer(&n.ctx))), uint64(fn), uint64(uintptr(unsafe.Pointer(&room[0]))) + stackSize}
	return n, nil
}

func (n *native) once() (uint32, error) {
	if e := rt.Enter(&n.run, n.code); e != rt.Done {
		return 0, fmt.Errorf("native code: %v", e)
	}
	return uint32(n.run.Context.R0), nil
}

func (n *native) time(count int) (time.Duration, error) {
	begun := time.Now()
	for range count {
		rt.Enter(&n.run, n.code)
	}
	return time.Since(begun), nil
}

// pages returns n bytes of memory that stay where they are.
func pages(n int) ([]byte, error) {
	return syscall.Mmap(-1, 0, n, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
}

// symbol loads the relocatable object at path and returns the address of one of
// its functions, 0 if there is no such function. What it loads stays loaded.
func symbol(path, name string) (uintptr, error) {
	f, err := elf.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	syms, err := f.Symbols()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	at, mem, err := place(f)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	for _, s := range f.Sections {
		if s.Type == elf.SHT_RELA && at[s.Info] != 0 {
			if err := relocate(s, syms, at); err != nil {
				return 0, fmt.Errorf("%s: %w", path, err)
			}
		}
	}
	if err := syscall.Mprotect(mem, syscall.PROT_READ|syscall.PROT_WRITE|syscall.PROT_EXEC); err != nil {
		return 0, err
	}
	for _, s := range syms {
		if s.Name == name && elf.ST_BIND(s.Info) == elf.STB_GLOBAL {
			return at[s.Section] + uintptr(s.Value), nil
		}
	}
	return 0, nil
}

// place copies the sections that take memory, and returns their addresses by
// number; 0 for others.
func place(f *elf.File) (at []uintptr, mem []byte, err error) {
	const align = 64
	off, total := make([]int, len(f.Sections)), align
	for i, s := range f.Sections {
		if s.Flags&elf.SHF_ALLOC != 0 && s.Size > 0 {
			off[i] = total
			total = (total + int(s.Size) + align - 1) &^ (align - 1)
		}
	}
	if mem, err = pages(total); err != nil {
		return nil, nil, err
	}
	at = make([]uintptr, len(f.Sections))
	for i, s := range f.Sections {
		if off[i] == 0 {
			continue
		}
		at[i] = uintptr(unsafe.Pointer(&mem[off[i]]))
		if s.Type == elf.SHT_NOBITS {
			continue
		}
		b, err := s.Data()
		if err != nil {
			return nil, nil, err
		}
		copy(mem[off[i]:], b)
	}
	return at, mem, nil
}

// relocate applies the section s of relocations (System V ABI, amd64 supplement,
// section 4.4).
func relocate(s *elf.Section, syms []elf.Symbol, at []uintptr) error {
	b, err := s.Data()
	if err != nil {
		return err
	}
	for ; len(b) >= 24; b = b[24:] {
		off, info, add := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[16:])
		sym := syms[info>>32-1]
		p := at[s.Info] + uintptr(off)
		v := uint64(at[sym.Section]) + sym.Value + add
		where := pointerTo(p)
		switch t := elf.R_X86_64(uint32(info)); t {
		case elf.R_X86_64_64:
			*(*uint64)(where) = v
		case elf.R_X86_64_PC32, elf.R_X86_64_PLT32:
			*(*uint32)(where) = uint32(v - uint64(p))
		default:
			return fmt.Errorf("relocation %v", t)
		}
	}
	return nil
}

// pointerTo returns p, which is not an address of Go's, as a pointer.
func pointerTo(p uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&p)) }

package vm

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"maps"
	"runtime"
	"slices"
	"sync"
	"weak"

	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/jit"
	skepmaps "github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// A proof is that of a program that the verifier accepted, and the machine code
// that was made of it. It is bound to no maps: programs with the same content
// share it, for as long as one of them is loaded.
type proof struct {
	v   *verifier.Verified
	typ *hook.Type // whose address is part of the key

	mu    sync.Mutex
	codes []compiledFor
}

// A compiledFor is machine code, and what it was made for besides the program.
type compiledFor struct {
	layouts []skepmaps.Layout
	random  bool
	code    *jit.Code
}

// proofs are the proven programs of the process, by content.
var proofs struct {
	mu sync.Mutex
	by map[contentKey]weak.Pointer[proof]
}

type contentKey [sha256.Size]byte

// verified returns the proof of p under rules, which may be an earlier one's of
// the same content. with is p with what the host adds.
func (c *Collection) verified(ctx context.Context, p, with *prog.Program, rules verifier.Options) (*proof, error) {
	key, ok := c.contentOf(p, with, rules)
	if ok {
		proofs.mu.Lock()
		known := proofs.by[key].Value()
		proofs.mu.Unlock()
		if known != nil {
			return known, nil
		}
	}
	v, _, err := verifier.Verify(ctx, with, rules)
	if err != nil {
		return nil, err
	}
	x := &proof{v: v, typ: p.Type}
	if ok {
		proofs.mu.Lock()
		defer proofs.mu.Unlock()
		if proofs.by == nil {
			proofs.by = map[contentKey]weak.Pointer[proof]{}
		}
		proofs.by[key] = weak.Make(x)
		runtime.AddCleanup(x, forget, key)
	}
	return x, nil
}

// forget drops the entry of a proof that nobody uses any more, unless there is a
// new one by now.
func forget(key contentKey) {
	proofs.mu.Lock()
	defer proofs.mu.Unlock()
	if proofs.by[key].Value() == nil {
		delete(proofs.by, key)
	}
}

// compile returns x's machine code for maps with the given layouts.
func (x *proof) compile(t jit.Target) (*jit.Code, error) {
	layouts := make([]skepmaps.Layout, len(t.Maps))
	for i, l := range t.Maps {
		if l != nil {
			layouts[i] = *l
			layouts[i].Base = 0 // that is what Link is for
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, c := range x.codes {
		if c.random == t.Random && slices.Equal(c.layouts, layouts) {
			return c.code, nil
		}
	}
	code, err := jit.Compile(x.v, t)
	if err == nil {
		x.codes = append(x.codes, compiledFor{layouts, t.Random, code})
	}
	return code, err
}

// contentOf returns the key of all that a proof of with depends on; ok is false
// if there is something that no key can hold.
//
// Sound: what has no content that can be compared goes in by its address, which
// the proof keeps in use. Such things never change (hook.Type, btf.Type); a
// host's functions, which might, go in by address and contract.
func (c *Collection) contentOf(p, with *prog.Program, rules verifier.Options) (key contentKey, ok bool) {
	if rules.Observe != nil || rules.Invariants {
		return key, false
	}
	h := sha256.New()
	rules.Observe = nil
	fmt.Fprintf(h, "%#v %q %q %v %p %q %d\n", rules, with.Name, with.Attach, with.Sleepable, p.Type, with.License, with.Handler)
	write(h, uint64(len(with.Insns)))
	var b [8]byte
	for _, in := range with.Insns {
		b[0], b[1] = byte(in.Op), byte(in.Dst)<<4|byte(in.Src)
		binary.LittleEndian.PutUint16(b[2:], uint16(in.Off))
		binary.LittleEndian.PutUint32(b[4:], uint32(in.Imm))
		h.Write(b[:])
	}
	for _, f := range with.Funcs {
		fmt.Fprintf(h, "func %q %d %d %v %p\n", f.Name, f.Entry, f.End, f.Global, f.Type)
	}
	for _, x := range with.Externs {
		fmt.Fprintf(h, "extern %q %p %v\n", x.Name, x.Type, x.Weak)
	}
	for _, s := range with.Maps {
		writeSpec(h, s)
	}
	for _, id := range slices.Sorted(maps.Keys(c.opts.Helpers)) {
		f := c.opts.Helpers[id]
		fmt.Fprintf(h, "helper %d %p %q %#v\n", id, f, f.Name, f.Proto)
	}
	for _, name := range slices.Sorted(maps.Keys(c.opts.Kfuncs)) {
		f := c.opts.Kfuncs[name]
		fmt.Fprintf(h, "kfunc %q %p %q %#v\n", name, f, f.Name, f.Proto)
	}
	h.Sum(key[:0])
	return key, true
}

func write(w io.Writer, n uint64) { _ = binary.Write(w, binary.LittleEndian, n) }

// writeSpec writes what a proof may use of s. Contents count only if nothing can
// change them.
func writeSpec(h hash.Hash, s *skepmaps.Spec) {
	fmt.Fprintf(h, "map %q %d %d %d %d %d %d %p %p %v %v %d\n", s.Name, s.Type, s.KeySize, s.ValueSize, s.MaxEntries, s.Flags, s.Extra, s.Key, s.Value, s.Inner != nil, s.Frozen, len(s.Contents))
	if s.Inner != nil {
		writeSpec(h, s.Inner)
	}
	if !s.Frozen {
		return
	}
	for _, e := range s.Contents {
		write(h, uint64(len(e.Key)))
		h.Write(e.Key)
		write(h, uint64(len(e.Value)))
		h.Write(e.Value)
		fmt.Fprintf(h, "%q %p\n", e.Program, e.Map)
	}
}

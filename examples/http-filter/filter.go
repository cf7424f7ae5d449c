package main

import (
	"bytes"
	"fmt"
	"net/http"
	"sync"

	"github.com/skepvm/skep/elf"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/vm"
)

// platform is Linux with the hook of this program.
var platform = func() hook.Platform {
	p, err := hook.Extend(linux.Platform, requestHook.Type)
	if err != nil {
		panic(err)
	}
	return p
}()

// A Filter passes requests that an eBPF program allows on to a handler. Without
// a program it passes all.
type Filter struct {
	next     http.Handler
	hook     *vm.HookOf[Request]
	requests sync.Pool // of *Request

	mu   sync.Mutex // held while the program is replaced
	coll *vm.Collection
	link *vm.Link
}

// NewFilter returns a filter in front of next.
func NewFilter(next http.Handler) *Filter {
	return &Filter{
		next: next,
		hook: vm.NewHookOf(requestHook, vm.HookOptions{
			Stop:    func(verdict uint64) bool { return verdict == deny },
			Default: allow,
		}),
		requests: sync.Pool{New: func() any { return new(Request) }},
	}
}

// Load replaces the program by the only one of object, a file from clang. No
// request waits for it or is lost: each is decided by the old program or by the
// new one. If the object cannot be loaded, the old program stays.
func (f *Filter) Load(object []byte) error {
	obj, err := elf.Load(bytes.NewReader(object), "filter", elf.Options{Platform: platform})
	if err != nil {
		return err
	}
	if len(obj.Programs) != 1 {
		return fmt.Errorf("filter: %d programs; one is needed", len(obj.Programs))
	}
	coll, err := vm.Load(obj, vm.Options{MaxInsns: 100_000, MaxBytes: 1 << 20})
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p := coll.Programs()[0]
	if f.link == nil {
		f.link, err = f.hook.Attach(p, vm.AttachOptions{})
	} else {
		err = f.link.Update(p)
	}
	if err != nil {
		coll.Close()
		return err
	}
	if f.coll != nil {
		f.coll.Close()
	}
	f.coll = coll
	return nil
}

// ServeHTTP asks the program. A program that faults refuses the request.
func (f *Filter) ServeHTTP(w http.ResponseWriter, hr *http.Request) {
	r := f.requests.Get().(*Request)
	defer f.requests.Put(r)
	r.fill(hr)
	verdict, err := f.hook.Run(r)
	switch {
	case err != nil:
		http.Error(w, "filter: "+err.Error(), http.StatusInternalServerError)
	case verdict == allow:
		f.next.ServeHTTP(w, hr)
	default:
		code := int(r.Status)
		if code < 400 || code > 599 {
			code = http.StatusForbidden
		}
		http.Error(w, http.StatusText(code), code)
	}
}

package vm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/skepvm/skep/hook"
)

// ErrDetached is returned by methods of a Link that was closed.
var ErrDetached = errors.New("the link is closed")

// A Hook is a place in the host that runs programs: those that are attached,
// in order. All methods may be called at any time from any goroutine.
type Hook struct {
	typ   *hook.Type
	opts  HookOptions
	mu    sync.Mutex              // changes of links
	links atomic.Pointer[[]*Link] // in order; what it points to never changes
}

// HookOptions say how the verdicts of several programs become one.
type HookOptions struct {
	// Stop reports whether verdict is final: the programs after the one that
	// gave it do not run. Nil: any verdict but 0 is.
	Stop func(verdict uint64) bool
	// Default is the verdict when nothing is attached.
	Default uint64
}

// NewHook returns a hook for programs of type t.
func NewHook(t *hook.Type, o HookOptions) *Hook {
	if o.Stop == nil {
		o.Stop = func(verdict uint64) bool { return verdict != 0 }
	}
	h := &Hook{typ: t, opts: o}
	h.links.Store(new([]*Link))
	return h
}

// Type returns the type of the hook's programs.
func (h *Hook) Type() *hook.Type { return h.typ }

// AttachOptions say where a program goes.
type AttachOptions struct {
	// Priority orders programs: lower ones run first. Those with the same
	// priority run in the order in which they were attached.
	Priority int
}

// A Link is a program's place at a hook.
type Link struct {
	hook     *Hook
	priority int
	prog     atomic.Pointer[Program] // nil: closed
}

// Attach puts p in its place at the hook. The link keeps p until it is closed
// or updated. Close it before p's collection: a hook with a program of a closed
// collection returns ErrClosed, lest a filter be skipped in silence.
func (h *Hook) Attach(p *Program, o AttachOptions) (*Link, error) {
	if err := h.check(p); err != nil {
		return nil, err
	}
	l := &Link{hook: h, priority: o.Priority}
	l.prog.Store(p)
	h.mu.Lock()
	defer h.mu.Unlock()
	old := *h.links.Load()
	at := len(old)
	for at > 0 && old[at-1].priority > o.Priority {
		at--
	}
	links := slices.Insert(slices.Clone(old), at, l)
	h.links.Store(&links)
	return l, nil
}

// check reports why p cannot run at the hook.
func (h *Hook) check(p *Program) error {
	if err := p.Err(); err != nil {
		return fmt.Errorf("attach: %w", err)
	}
	if p.coll.closed.Load() {
		return fmt.Errorf("attach: program %s: %w", p.name, ErrClosed)
	}
	if h.typ == nil || p.typ != h.typ {
		return fmt.Errorf("attach: program %s is of type %s, the hook runs %s", p.name, typeName(p.typ), typeName(h.typ))
	}
	return nil
}

func typeName(t *hook.Type) string {
	if t == nil {
		return "no type"
	}
	if t.Attach != "" {
		return t.Name + "/" + t.Attach
	}
	return t.Name
}

// Program returns the linked program; nil if the link is closed.
func (l *Link) Program() *Program { return l.prog.Load() }

// Update replaces the linked program in one step: every run of the hook that
// reaches the link's place uses the old one or the new one. The old one's
// collection may be closed at once: runs that have found it, but not begun it,
// take the new one.
func (l *Link) Update(p *Program) error {
	if err := l.hook.check(p); err != nil {
		return err
	}
	for {
		old := l.prog.Load()
		if old == nil {
			return ErrDetached
		}
		if l.prog.CompareAndSwap(old, p) {
			return nil
		}
	}
}

// Close takes the program away from the hook. Runs of it that are under way go
// on to their end. A second Close does nothing.
func (l *Link) Close() error {
	if l.prog.Swap(nil) == nil {
		return nil
	}
	h := l.hook
	h.mu.Lock()
	defer h.mu.Unlock()
	links := slices.DeleteFunc(slices.Clone(*h.links.Load()), func(o *Link) bool { return o == l })
	h.links.Store(&links)
	return nil
}

// Programs returns the attached programs, in order.
func (h *Hook) Programs() []*Program {
	var ps []*Program
	for _, l := range *h.links.Load() {
		if p := l.prog.Load(); p != nil {
			ps = append(ps, p)
		}
	}
	return ps
}

// Run runs the attached programs in order on in (see Program.Run), until a
// verdict is final or one ends with an error, and returns the last verdict.
// Each program sees what the ones before it did to in.
func (h *Hook) Run(in any) (uint64, error) { return h.RunContext(context.Background(), in) }

// RunContext is Run that ends with context.Cause(ctx) when ctx is done.
func (h *Hook) RunContext(ctx context.Context, in any) (verdict uint64, err error) {
	verdict = h.opts.Default
	for _, l := range *h.links.Load() {
		for p := l.prog.Load(); p != nil; {
			v, err := p.run(ctx, in, nil, nil)
			if q := l.prog.Load(); q != p && errors.Is(err, ErrClosed) {
				p = q // it was replaced, and its collection closed, since it was found
				continue
			}
			if verdict = v; err != nil || h.opts.Stop(v) {
				return v, err
			}
			break
		}
	}
	return verdict, nil
}

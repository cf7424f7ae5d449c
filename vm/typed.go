package vm

import (
	"context"
	"errors"
	"fmt"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
)

// RunTyped runs p, whose type must be t, on *v: the program gets a copy of the
// fields, and what it stores in those that it may write comes back in *v. What
// v's hook.Bytes field holds is not copied. Nothing is
// allocated.
func RunTyped[T any](ctx context.Context, p *Program, t *hook.TypeOf[T], v *T) (r0 uint64, err error) {
	if p != nil && p.typ != t.Type {
		return 0, fmt.Errorf("program %s is of type %s, not %s", p.name, typeName(p.typ), typeName(t.Type))
	}
	s, err := p.open(ctx)
	if err != nil {
		return 0, err
	}
	defer s.close()
	t.Encode(s.ctx, v)
	if b := t.Packet(v); s.prog.hasPacket {
		if err := s.setPacket(&helpers.Packet{Buf: b[:len(b):len(b)], Tail: len(b)}); err != nil {
			return 0, err
		}
	}
	r0, err = s.exec.exec()
	s.ok = err == nil
	t.Decode(s.ctx, v)
	return r0, err
}

// A HookOf is a Hook whose programs get a T.
type HookOf[T any] struct {
	*Hook
	typ *hook.TypeOf[T]
}

// NewHookOf returns a hook for programs of type t.
func NewHookOf[T any](t *hook.TypeOf[T], o HookOptions) *HookOf[T] {
	return &HookOf[T]{NewHook(t.Type, o), t}
}

// Run is Hook.Run on *v (see RunTyped).
func (h *HookOf[T]) Run(v *T) (uint64, error) { return h.RunContext(context.Background(), v) }

// RunContext is Run that ends with context.Cause(ctx) when ctx is done.
func (h *HookOf[T]) RunContext(ctx context.Context, v *T) (verdict uint64, err error) {
	verdict = h.opts.Default
	for _, l := range *h.links.Load() {
		for p := l.prog.Load(); p != nil; {
			r0, err := RunTyped(ctx, p, h.typ, v)
			if q := l.prog.Load(); q != p && errors.Is(err, ErrClosed) {
				p = q // as in Hook.RunContext
				continue
			}
			if verdict = r0; err != nil || h.opts.Stop(r0) {
				return r0, err
			}
			break
		}
	}
	return verdict, nil
}

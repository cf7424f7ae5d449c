package verifier

import (
	"context"
	"errors"
	"testing"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook/linux"
)

// TestHostLoop verifies a program whose callback indexes 64 bytes with what
// loop(64, …) gives it. The index of Linux's helper is below 64; a host's own
// helper that shares the name and not the contract gives any number.
func TestHostLoop(t *testing.T) {
	const asm = lookup + `
		*(u64 *)(r10 -16) = r0
		r1 = 64
		r2 = subprog[body]
		r3 = r10
		r3 += -16
		r4 = 0
		call 181
		r0 = 0
		exit
	body:
		r2 = *(u64 *)(r2 +0)
		r2 += r1
		r0 = *(u8 *)(r2 +0)
		r0 = 0
		exit`
	p := assemble(t, "xdp", asm)
	if _, _, err := Verify(context.Background(), p, Options{}); err != nil {
		t.Errorf("Linux's loop: %v", err)
	}
	other := *helpers.Loop
	other.Proto.Ret = helpers.Ret{}
	host := *linux.XDP
	host.Helpers = host.Helpers.With(map[helpers.ID]*helpers.Func{181: &other}, nil)
	p.Type = &host
	_, _, err := Verify(context.Background(), p, Options{})
	if e := (*Error)(nil); !errors.As(err, &e) || e.Code != OutOfBounds {
		t.Errorf("a host's own loop: got %v, want %s", err, OutOfBounds)
	}

	// Nor need its numbers end where Linux's do.
	q := assemble(t, "xdp", `
		r1 = 64
		r2 = subprog[body]
		r3 = 0
		r4 = 0
		call 181
		r0 = 0
		exit
	body:
		if r1 > 0x7fffff goto bad
		r0 = 0
		exit
	bad:
		r0 = *(u64 *)(r10 +0)
		exit`)
	if _, _, err := Verify(context.Background(), q, Options{}); err != nil {
		t.Errorf("Linux's loop: %v", err)
	}
	q.Type = &host
	_, _, err = Verify(context.Background(), q, Options{})
	if e := (*Error)(nil); !errors.As(err, &e) || e.Code != OutOfBounds {
		t.Errorf("a host's own loop: got %v, want %s", err, OutOfBounds)
	}
}

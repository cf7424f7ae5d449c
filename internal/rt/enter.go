//go:build amd64 || arm64

package rt

// Supported says whether there is a stub for this architecture.
const Supported = true

// Enter runs the code at address code on r.Context until it ends, and returns
// why. The caller has set Arg, Meter and Frame, and keeps the code mapped.
//
// A helper that panics or ends the goroutine unwinds through Enter; the Context
// can be used again once it is set up anew.
func Enter(r *Run, code uintptr) Exit { return enter(r, code) }

// Leaf runs code on c that leaves only when it ends, with Done, and returns its R0.
// The caller has set Arg and Frame, and keeps the code mapped.
func Leaf(c *Context, code uintptr) uint64 { return leaf(c, code) }

// leaf is the stub of Leaf: what enter has and it has not takes a nanosecond.
func leaf(c *Context, code uintptr) uint64

// enter is the stub. It is not marked noescape: what r points to must not move
// when the stack does.
func enter(r *Run, code uintptr) Exit

// looks is how many calls of helpers there are at most between two of Run.Look.
const looks = 64

// helper calls a helper for the stub.
//
//lint:ignore U1000 the stub calls it
func helper(r *Run, index uint32) uint64 {
	if r.Context.target != r.at {
		r.follow()
	}
	if r.calls++; r.calls%looks == 0 && r.Look != nil {
		r.Look()
	}
	if r.plain != 0 {
		if fn, b := r.plainCall(index); fn != nil {
			return fn(r.Env, b)
		}
	}
	a := &r.Context.Arg
	return r.impl(index)(r.Env, a[0], a[1], a[2], a[3], a[4])
}

// yield calls Run.Yield for the stub. As in any call of a Go function, the
// goroutine may be preempted.
//
//lint:ignore U1000 the stub calls it
func yield(r *Run) {
	if r.Context.target != r.at {
		r.follow()
	}
	r.Yield(r.Context)
}

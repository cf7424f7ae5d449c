package vm

import (
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/skepvm/skep/internal/execmem"
	"github.com/skepvm/skep/internal/mem"
	"github.com/skepvm/skep/internal/vcpu"
	"github.com/skepvm/skep/jit"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/verifier"
)

// autoCompiles says whether Auto means machine code where that is possible.
// It becomes true when the comparison of the engines covers every program that
// the verifier accepts.
const autoCompiles = false

// compiles reports whether programs are to be compiled if they can be.
func (e Engine) compiles() bool { return e == JIT || e == Auto && autoCompiles }

// Engine returns the engine that runs the program, and why it is not a faster
// one; "" if there is none.
func (p *Program) Engine() (e Engine, why string) {
	switch {
	case p == nil || p.err != nil:
		return Auto, "the program cannot run"
	case p.native != nil:
		return JIT, ""
	}
	return Checked, p.reason
}

// available reports why this process cannot run machine code; nil if it can.
func available() error {
	if _, err := jit.Host(); err != nil {
		return err
	}
	return execmem.Available()
}

// compile makes machine code of a program that is bound to ms, and which v, if
// it is not nil, proves safe. The program runs checked if there can be none,
// and its reason says why.
func (c *Collection) compile(p *Program, v *verifier.Verified, ms []maps.Map) error {
	switch {
	case c.opts.Engine == Checked:
		p.reason = "the checked interpreter was asked for"
		return nil
	case !c.opts.Engine.compiles():
		p.reason = "machine code was not asked for"
		return nil
	}
	if err := c.makeCode(p, v, ms); err != nil {
		p.reason = err.Error()
		if c.opts.Engine == JIT {
			return err
		}
	}
	return nil
}

// makeCode proves p safe if nobody has, and makes its code, which seal makes
// executable.
func (c *Collection) makeCode(p *Program, v *verifier.Verified, ms []maps.Map) error {
	if err := available(); err != nil {
		return err
	}
	for i, m := range ms {
		// Code trusts values to be whole, which a host's own map may get wrong.
		if _, ok := m.(maps.Slabber); !ok && m.Spec().ValueSize > 0 && c.opts.Maps[p.prog.Maps[i].Name] != nil {
			return fmt.Errorf("map %s is the host's own: accesses to its values must be checked", p.prog.Maps[i].Name)
		}
	}
	if v == nil {
		rules := c.opts.Rules
		rules.AllowUnbounded = true // the meter ends what does not end
		rules.MaxWorstCase = 1<<63 - 1
		var err error
		if v, err = c.prove(p.prog, rules); err != nil {
			return fmt.Errorf("not verified: %w", err)
		}
	}
	host, err := jit.Host()
	if err != nil {
		return err
	}
	code, err := jit.Compile(v, host)
	if err != nil {
		return err
	}
	p.native = newNative(code, ms)
	p.native.addr = uintptr(c.batch.Add(code.Link(func(m int) uint64 { return valueAddr(ms[m]) })))
	return nil
}

// valueAddr returns the address of m's first value.
func valueAddr(m maps.Map) uint64 {
	return mem.Addr(m.LookupElem(0, make([]byte, m.Spec().KeySize)))
}

// seal makes the code of the collection's programs executable.
func (c *Collection) seal() error {
	c.matchTailCalls()
	if c.batch.Len() == 0 {
		return nil
	}
	block, err := c.batch.Seal()
	c.batch = execmem.Batch{}
	for _, p := range c.programs {
		switch {
		case p.native == nil:
		case err != nil:
			p.native, p.reason = nil, err.Error()
		default:
			p.native.addr += block.Addr()
		}
	}
	if err != nil {
		if c.opts.Engine == JIT {
			return err
		}
		return nil
	}
	c.block = block
	// A collection that nobody can reach has no run under way.
	c.cleanup = runtime.AddCleanup(c, func(b *execmem.Block) { _ = b.Free() }, block)
	return nil
}

// matchTailCalls takes the machine code away from programs with tail calls if
// another program of their type has none: a run does not change its engine.
func (c *Collection) matchTailCalls() {
	for _, q := range c.programs {
		if q.native != nil || q.err != nil {
			continue
		}
		for _, p := range c.programs {
			if p.native != nil && p.typ == q.typ && p.native.tailCalls() {
				p.native = nil
				p.reason = fmt.Sprintf("its tail calls may reach program %s, which is not compiled: %s", q.name, q.reason)
				c.matchTailCalls()
				return
			}
		}
	}
}

// release frees the code when no run can be in it any more.
func (c *Collection) release() {
	if c.block == nil {
		return
	}
	c.cleanup.Stop()
	graves.bury(c.block, vcpu.Retired())
	graves.clear()
}

// graves holds code of closed collections in which runs may still be.
var graves graveyard

type graveyard struct {
	mu      sync.Mutex
	blocks  []grave
	waiting bool // a timer will look again
}

type grave struct {
	block *execmem.Block
	tag   uint64
}

func (g *graveyard) bury(b *execmem.Block, tag uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.blocks = append(g.blocks, grave{b, tag})
}

// clear frees what no run can reach, and comes back for the rest.
func (g *graveyard) clear() {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for _, x := range g.blocks {
		// A block that the host does not take back stays; nothing more can be done.
		if vcpu.Passed(x.tag) && x.block.Free() == nil {
			continue
		}
		g.blocks[n] = x
		n++
	}
	clear(g.blocks[n:])
	g.blocks = g.blocks[:n]
	if n > 0 && !g.waiting {
		g.waiting = true
		time.AfterFunc(10*time.Millisecond, func() {
			g.mu.Lock()
			g.waiting = false
			g.mu.Unlock()
			g.clear()
		})
	}
}

// CodeBytes returns how many bytes of pages the machine code of the collection
// takes.
func (c *Collection) CodeBytes() int {
	if c.block == nil {
		return 0
	}
	return c.block.Size()
}

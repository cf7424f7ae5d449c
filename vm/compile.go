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

// Engine returns the engine that runs the program, and why it is not a faster
// one; "" if there is none.
func (p *Program) Engine() (e Engine, why string) {
	if p == nil || p.err != nil {
		return Auto, "the program cannot run"
	}
	return p.engine, p.why
}

// make makes p ready for the first engine of ms that the options allow and that
// can run it. An error means that it must not run in the checked interpreter
// either.
func (c *Collection) make(p *Program, ms []maker) error {
	asked := c.opts.Engine
	if p.proof == nil || asked == Checked {
		return nil
	}
	for _, m := range ms {
		if asked != Auto && asked != m.engine {
			continue
		}
		err := m.usable(asked)
		if err == nil {
			err = c.checkMaps(p, p.ms)
		}
		if err == nil {
			err = m.make(c, p, p.proof.v, p.ms)
		}
		if err == nil {
			p.engine, p.in = m.engine, m.in
			return nil
		}
		p.because(m.engine, err)
		if asked != Auto {
			return err
		}
	}
	return nil
}

// because notes why p does not run in e.
func (p *Program) because(e Engine, err error) {
	if p.why != "" {
		p.why += "; "
	}
	p.why += fmt.Sprintf("%s: %v", e, err)
}

// usableJIT reports why this process cannot run machine code, which asked asks
// for; nil if it can.
func usableJIT(asked Engine) error {
	if _, err := jit.Host(); err != nil {
		return err
	}
	if asked == Auto && !execmem.Default {
		return fmt.Errorf("on %s machine code is not the default, and must be asked for", runtime.GOOS)
	}
	return execmem.Available()
}

// makeNative makes p's machine code, which seal makes executable.
func (c *Collection) makeNative(p *Program, _ *verifier.Verified, ms []maps.Map) error {
	host, err := jit.Host()
	if err != nil {
		return err
	}
	for _, m := range ms {
		host.Maps = append(host.Maps, maps.LayoutOf(m))
	}
	host.Random = c.opts.Host.Random == nil && !c.opts.Deterministic
	code, err := p.proof.compile(host)
	if err != nil {
		return err
	}
	p.native = newNative(code, ms, &p.target)
	p.native.addr = uintptr(c.batch.Add(code.Link(func(m int) uint64 { return baseAddr(ms[m]) })))
	return nil
}

// baseAddr returns the address of m's first value, or what the map's layout
// begins with.
func baseAddr(m maps.Map) uint64 {
	if l := maps.LayoutOf(m); l != nil {
		return l.Base
	}
	return mem.Addr(m.LookupElem(0, make([]byte, m.Spec().KeySize)))
}

// seal makes the machine code of the collection's programs executable, and
// ends the loading. Where the host refuses, they go on to the next engine.
func (c *Collection) seal() error {
	var err error
	if c.batch.Len() > 0 {
		c.block, err = c.batch.Seal()
		c.batch = execmem.Batch{}
	}
	for _, p := range c.programs {
		if p.native != nil && err == nil {
			p.native.addr += c.block.Addr()
			p.native.ready()
		}
		if p.native != nil && err != nil {
			p.native, p.engine, p.in = nil, Checked, nil
			p.because(JIT, err)
			if c.opts.Engine == JIT {
				return err
			}
			if err := c.make(p, makers[1:]); err != nil {
				return err
			}
		}
		p.ms = nil
		p.quick.Store(newQuick(p))
	}
	if c.block != nil {
		// A collection that nobody can reach has no run under way.
		c.cleanup = runtime.AddCleanup(c, func(b *execmem.Block) { _ = b.Free() }, c.block)
		if c.opts.PerfMap {
			return writePerfMap(c.perfMap())
		}
	}
	return nil
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

// A Memory is how much memory a collection takes, in bytes.
type Memory struct {
	Code int    // pages of machine code
	Maps uint64 // values and keys of its own maps, pinned ones left out, when they are full
}

// Memory returns how much memory c takes.
func (c *Collection) Memory() (m Memory) {
	if c.block != nil {
		m.Code = c.block.Size()
	}
	for _, own := range c.own {
		m.Maps += maps.Footprint(own.Spec())
	}
	return m
}

package vm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/internal/checked"
	"github.com/skepvm/skep/internal/execmem"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// A Collection is a loaded object: its maps and its programs.
type Collection struct {
	opts   Options
	host   *helpers.Host
	maps   map[string]maps.Map
	specs  map[*maps.Spec]maps.Map
	own    []maps.Map // those to close
	pins   map[string]*maps.Pinned
	loaded bool

	variables map[string]*prog.Variable
	programs  map[string]*Program
	names     []string
	sets      map[*hook.Type]*helpers.Set
	closed    atomic.Bool

	batch   execmem.Batch  // machine code, until it is sealed
	block   *execmem.Block // after that; nil: there is none
	cleanup runtime.Cleanup

	timersMu sync.Mutex
	timers   map[*timer]struct{} // those that call functions of its programs
}

// Load makes the maps of obj, links its programs and makes them ready to run.
// obj is not changed and not kept.
//
// A program that cannot be loaded does not keep the others from it: Err says
// why, unless opts.RequireAll is set or it was the only one. A map that cannot
// be made fails the whole, and what was made is closed.
func Load(obj *prog.Object, opts Options) (*Collection, error) {
	return LoadContext(context.Background(), obj, opts)
}

// LoadContext is Load that ends with an error, and nothing made, when ctx is
// done.
func LoadContext(ctx context.Context, obj *prog.Object, opts Options) (*Collection, error) {
	if _, err := ParseEngine(string(opts.Engine)); err != nil {
		return nil, err
	}
	if obj == nil {
		return nil, errors.New("no object")
	}
	c := newCollection(opts)
	if err := c.load(ctx, obj); err != nil {
		c.Close()
		if obj.File != "" && !errors.As(err, new(*prog.Error)) {
			err = fmt.Errorf("%s: %w", obj.File, err)
		}
		return nil, err
	}
	c.loaded = true
	return c, nil
}

// LoadProgram makes the maps of a program that is linked already (see
// prog.FromInsns) and makes it ready to run, as Load does with an object's.
func LoadProgram(p *prog.Program, opts Options) (*Collection, error) {
	if _, err := ParseEngine(string(opts.Engine)); err != nil {
		return nil, err
	}
	switch {
	case p == nil:
		return nil, ErrNoProgram
	case p.Type == nil:
		return nil, fmt.Errorf("program %q has no type: choose a program type", p.Name)
	case len(p.Insns) == 0 || len(p.Funcs) == 0:
		return nil, fmt.Errorf("program %q was not linked", p.Name)
	}
	c := newCollection(opts)
	err := c.checkFuncs()
	if err == nil {
		err = c.makeMaps(p.Maps)
	}
	if err == nil {
		var loaded *Program
		if loaded, err = c.bind(context.Background(), p); err == nil {
			c.programs[p.Name], c.names = loaded, []string{p.Name}
		}
	}
	if err == nil {
		err = c.seal()
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("program %s: %w", p.Name, err)
	}
	c.loaded = true
	return c, nil
}

func newCollection(opts Options) *Collection {
	return &Collection{
		opts:     opts,
		host:     fillHost(opts.Host, opts.Deterministic),
		maps:     map[string]maps.Map{},
		specs:    map[*maps.Spec]maps.Map{},
		pins:     map[string]*maps.Pinned{},
		programs: map[string]*Program{},
		sets:     map[*hook.Type]*helpers.Set{},
	}
}

func (c *Collection) load(ctx context.Context, obj *prog.Object) error {
	if err := c.checkFuncs(); err != nil {
		return err
	}
	if err := c.makeMaps(obj.Maps); err != nil {
		return err
	}
	c.noteVariables(obj)
	var failed []error
	for _, spec := range obj.Programs {
		if _, twice := c.programs[spec.Name]; twice {
			return fmt.Errorf("two programs are called %s", spec.Name)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		p, err := c.loadProgram(ctx, obj, spec)
		if err != nil {
			if !errors.As(err, new(*prog.Error)) {
				err = &prog.Error{File: obj.File, Program: spec.Name, Err: err}
			}
			failed = append(failed, err)
			p = &Program{coll: c, name: spec.Name, typ: spec.Type, err: err}
		}
		c.programs[spec.Name] = p
		c.names = append(c.names, spec.Name)
	}
	if ctx.Err() != nil { // a proof that was cut short is no refusal
		return context.Cause(ctx)
	}
	if len(failed) > 0 && (c.opts.RequireAll || len(failed) == len(obj.Programs)) {
		return errors.Join(failed...)
	}
	if err := c.seal(); err != nil {
		return err
	}
	return c.wire(obj)
}

// checkFuncs refuses functions of the host that contradict themselves.
func (c *Collection) checkFuncs() error {
	for id, f := range c.opts.Helpers {
		if err := f.Check(); err != nil {
			return fmt.Errorf("helper %d: %w", id, err)
		}
	}
	for name, f := range c.opts.Kfuncs {
		if err := f.Check(); err != nil {
			return fmt.Errorf("kfunc %s: %w", name, err)
		}
	}
	return nil
}

// makeMaps makes maps, or takes those that the options give.
func (c *Collection) makeMaps(specs []*maps.Spec) error {
	left := c.opts.maxBytes()
	for _, spec := range specs {
		if _, twice := c.maps[spec.Name]; twice {
			return fmt.Errorf("two maps are called %s", spec.Name)
		}
		m, err := c.mapFor(spec, &left)
		if err != nil {
			return err
		}
		c.maps[spec.Name] = m
		c.specs[spec] = m
	}
	for name := range c.opts.Maps {
		if _, ok := c.maps[name]; !ok {
			return fmt.Errorf("the object has no map %q to replace", name)
		}
	}
	return nil
}

// mapFor returns the map that spec describes: one that the options give, a
// pinned one, or a new one, whose memory is taken from left.
func (c *Collection) mapFor(spec *maps.Spec, left *uint64) (maps.Map, error) {
	if spec.Type == maps.PerfEventArray && spec.MaxEntries == 0 { // one for each CPU, as libbpf has it
		s := *spec
		s.MaxEntries = uint32(maps.NumCPU())
		spec = &s
	}
	if m, given := c.opts.Maps[spec.Name]; given {
		return m, replaces(m, spec)
	}
	create := func(spec *maps.Spec) (maps.Map, error) {
		need := maps.Footprint(spec)
		if need > *left {
			return nil, fmt.Errorf("map %q: %d bytes when full, with %d left of the collection's limit: %w", spec.Name, need, *left, errno.ENOMEM)
		}
		*left -= need
		return maps.New(spec)
	}
	if spec.Pinning != "" && c.opts.Pins != nil {
		p, err := c.opts.Pins.Open(spec, create)
		if err != nil {
			return nil, err
		}
		c.pins[spec.Name] = p
		return p.Map(), nil
	}
	m, err := create(spec)
	if err == nil {
		c.own = append(c.own, m)
	}
	return m, err
}

// shared reports whether others may have, or have had, the map called name, so
// that it may hold anything.
func (c *Collection) shared(name string) bool {
	_, given := c.opts.Maps[name]
	return given || c.pins[name] != nil
}

// replaces reports why m cannot stand for spec.
func replaces(m maps.Map, spec *maps.Spec) error {
	if m == nil {
		return fmt.Errorf("map %q: the replacement is nil", spec.Name)
	}
	s := m.Spec()
	if s.Type != spec.Type {
		return fmt.Errorf("map %q: the replacement is of type %v, the object asks for %v", spec.Name, s.Type, spec.Type)
	}
	for _, f := range []struct {
		name      string
		got, want uint64
	}{
		{"key size", uint64(s.KeySize), uint64(spec.KeySize)},
		{"value size", uint64(s.ValueSize), uint64(spec.ValueSize)},
		{"number of entries", uint64(s.MaxEntries), uint64(spec.MaxEntries)},
		{"access for programs", uint64(s.ProgramFlags()), uint64(spec.ProgramFlags())},
	} {
		if f.got != f.want {
			return fmt.Errorf("map %q: the replacement has %s %d, the object asks for %d", spec.Name, f.name, f.got, f.want)
		}
	}
	if err := maps.SameSpecial(s, spec); err != nil {
		return fmt.Errorf("map %q: the replacement holds other fields than the object asks for: %w", spec.Name, err)
	}
	if spec.Inner != nil {
		if err := maps.SameInner(s.Inner, spec.Inner); err != nil {
			return fmt.Errorf("map %q: the replacement holds other maps than the object asks for: %w", spec.Name, err)
		}
	}
	return nil
}

// loadProgram links one program and binds it.
func (c *Collection) loadProgram(ctx context.Context, obj *prog.Object, spec *prog.Spec) (*Program, error) {
	if spec.Type == nil && spec.Err == nil {
		return nil, fmt.Errorf("section %q names no program type: choose a program type", spec.Section)
	}
	lp, err := obj.Link(spec)
	if err != nil {
		return nil, err
	}
	return c.bind(ctx, lp)
}

// bind makes a linked program ready to run with the collection's maps.
func (c *Collection) bind(ctx context.Context, lp *prog.Program) (*Program, error) {
	ms := make([]maps.Map, len(lp.Maps))
	for i, s := range lp.Maps {
		if ms[i] = c.specs[s]; ms[i] == nil {
			return nil, fmt.Errorf("map %q is not part of the object", s.Name)
		}
	}
	v, why, err := c.verify(ctx, lp)
	if err != nil {
		return nil, err
	}
	p, err := newProgram(c, lp, c.set(lp.Type), ms, v)
	var bad *checked.BindError
	if errors.As(err, &bad) {
		err = bindError(lp, bad)
	}
	if err != nil {
		return nil, err
	}
	p.why = why
	return p, c.make(p, makers)
}

// set returns the functions that programs of type t may call.
func (c *Collection) set(t *hook.Type) *helpers.Set {
	s, ok := c.sets[t]
	if !ok {
		s = t.Helpers.With(c.opts.Helpers, c.opts.Kfuncs)
		c.sets[t] = s
	}
	return s
}

// wire stores programs in prog arrays, and maps in maps of maps, as the object
// asks. A program that could not be loaded leaves its place empty: a tail call
// there does nothing.
func (c *Collection) wire(obj *prog.Object) error {
	for _, spec := range obj.Maps {
		p := c.pins[spec.Name]
		if _, given := c.opts.Maps[spec.Name]; given || p != nil && !p.Made() && spec.Type != maps.ProgArray {
			continue
		}
		for _, e := range spec.Contents {
			var err error
			switch {
			case e.Program != "":
				err = c.wireProgram(spec, e)
			case e.Map != nil:
				err = c.wireMap(spec, e)
			}
			if err != nil {
				return fmt.Errorf("map %q: %w", spec.Name, err)
			}
		}
	}
	return nil
}

func (c *Collection) wireProgram(spec *maps.Spec, e maps.Entry) error {
	array, ok := c.specs[spec].(maps.ProgramArray)
	p := c.programs[e.Program]
	switch {
	case !ok:
		return fmt.Errorf("type %v holds no programs", spec.Type)
	case p == nil:
		return fmt.Errorf("the object has no program %q", e.Program)
	case len(e.Key) != 4:
		return fmt.Errorf("key of program %q has %d bytes, not 4", e.Program, len(e.Key))
	case p.err != nil:
		return nil
	}
	if err := array.Store(binary.NativeEndian.Uint32(e.Key), p); err != nil {
		return fmt.Errorf("program %q: %w", e.Program, err)
	}
	return nil
}

func (c *Collection) wireMap(spec *maps.Spec, e maps.Entry) error {
	holder, ok := c.specs[spec].(maps.MapHolder)
	inner := c.specs[e.Map]
	switch {
	case !ok:
		return fmt.Errorf("type %v holds no maps", spec.Type)
	case inner == nil:
		return fmt.Errorf("the object has no map %q", e.Map.Name)
	}
	return holder.StoreMap(e.Key, inner, maps.Any)
}

// Program returns the program called name, or nil if there is none. A program
// that could not be loaded is there, too: running it returns the reason.
func (c *Collection) Program(name string) *Program { return c.programs[name] }

// Programs returns every program, in the object's order.
func (c *Collection) Programs() []*Program {
	ps := make([]*Program, len(c.names))
	for i, name := range c.names {
		ps[i] = c.programs[name]
	}
	return ps
}

// Err returns why the program called name cannot run; nil if it can.
func (c *Collection) Err(name string) error { return c.programs[name].Err() }

// Map returns the map called name, or nil.
func (c *Collection) Map(name string) maps.Map { return c.maps[name] }

// Maps returns every map by name.
func (c *Collection) Maps() map[string]maps.Map {
	ms := make(map[string]maps.Map, len(c.maps))
	for name, m := range c.maps {
		ms[name] = m
	}
	return ms
}

// Close ends the use of the collection: programs run no more and its own maps
// are closed, pinned ones if they were unpinned and nobody else uses them. Runs that are under way end as they would have; what they hold
// stays valid until then. A second Close does nothing.
func (c *Collection) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	for _, p := range c.programs {
		p.quick.Store(nil)
		p.target.Enter(0)
	}
	c.endTimers()
	c.release()
	var errs []error
	for _, m := range c.own {
		errs = append(errs, m.Close())
	}
	for _, p := range c.pins {
		if c.loaded {
			errs = append(errs, p.Release())
		} else {
			errs = append(errs, p.Drop())
		}
	}
	return errors.Join(errs...)
}

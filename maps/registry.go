package maps

import (
	"fmt"
	"slices"
	"sync"

	"github.com/skepvm/skep/errno"
)

// A Registry holds maps by name, as the kernel's file system for BPF does pinned
// ones. Objects whose maps ask to be pinned (LIBBPF_PIN_BY_NAME; Spec.Pinning)
// share them if they are loaded with the same registry: the first makes the map,
// the others find it. A map is closed when nobody uses it and it is not pinned
// any more.
//
// The zero Registry is empty and ready. Its methods may be called from any
// goroutine.
type Registry struct {
	mu   sync.Mutex
	pins map[string]*pin
}

// A pin is a map in a registry. Its fields are under the registry's mu.
type pin struct {
	m       Map
	users   int
	pinned  bool
	foreign bool // put in by the host, who closes it
}

// A Pinned is one use of a map in a registry.
type Pinned struct {
	r    *Registry
	name string
	pin  *pin
	made bool
	once sync.Once
}

// Open returns the map called spec.Name. If there is none yet it makes one, with
// make, or with New if that is nil, and pins it. EINVAL: there is one, of another
// type, other sizes, flags or map_extra, and the error names the first of those
// that differs. The caller calls Release or Drop when it needs the map no more.
func (r *Registry) Open(spec *Spec, make func(*Spec) (Map, error)) (*Pinned, error) {
	if make == nil {
		make = New
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.pins[spec.Name]
	made := p == nil
	if made {
		m, err := make(spec)
		if err != nil {
			return nil, err
		}
		p = &pin{m: m, pinned: true}
		r.set(spec.Name, p)
	} else if err := sameMap(p.m.Spec(), spec); err != nil {
		return nil, fmt.Errorf("map %q: the pinned map is another: %w: %w", spec.Name, err, errno.EINVAL)
	}
	p.users++
	return &Pinned{r: r, name: spec.Name, pin: p, made: made}, nil
}

func (r *Registry) set(name string, p *pin) {
	if r.pins == nil {
		r.pins = map[string]*pin{}
	}
	r.pins[name] = p
}

// sameMap reports the first difference between what a map is and what is asked
// for, in what libbpf compares (bpf_map__reuse_fd).
func sameMap(got, want *Spec) error {
	if got.Type != want.Type {
		return fmt.Errorf("its type is %v, not %v", got.Type, want.Type)
	}
	if got.Flags != want.Flags {
		return fmt.Errorf("its flags are %v, not %v", got.Flags, want.Flags)
	}
	for _, f := range []struct {
		name      string
		got, want uint64
	}{
		{"key size", uint64(got.KeySize), uint64(want.KeySize)},
		{"value size", uint64(got.ValueSize), uint64(want.ValueSize)},
		{"number of entries", uint64(got.MaxEntries), uint64(want.MaxEntries)},
		{"map_extra", got.Extra, want.Extra},
	} {
		if f.got != f.want {
			return fmt.Errorf("its %s is %d, not %d", f.name, f.got, f.want)
		}
	}
	if want.Inner != nil {
		if err := SameInner(got.Inner, want.Inner); err != nil {
			return fmt.Errorf("inner maps: %w", err)
		}
	}
	return nil
}

// Map returns the map.
func (p *Pinned) Map() Map { return p.pin.m }

// Made reports whether Open made the map, rather than found it.
func (p *Pinned) Made() bool { return p.made }

// Release ends the use of the map. A second Release, or a Drop after it, does
// nothing.
func (p *Pinned) Release() error { return p.end(false) }

// Drop is Release that also unpins a map which Open made for it, if nobody else
// uses it: for loads that fail.
func (p *Pinned) Drop() error { return p.end(true) }

func (p *Pinned) end(drop bool) (err error) {
	p.once.Do(func() {
		p.r.mu.Lock()
		defer p.r.mu.Unlock()
		p.pin.users--
		if drop && p.made && p.pin.users == 0 && p.r.pins[p.name] == p.pin {
			p.r.unpin(p.name)
		}
		err = p.pin.closeUnused()
	})
	return err
}

// closeUnused closes the map unless somebody needs it.
func (p *pin) closeUnused() error {
	if p.users > 0 || p.pinned || p.foreign {
		return nil
	}
	return p.m.Close()
}

// Pin puts m into the registry under a name. Whoever made m closes it, after the
// collections that use it. EEXIST: the name is taken.
func (r *Registry) Pin(name string, m Map) error {
	if m == nil {
		return fmt.Errorf("pin %q: no map: %w", name, errno.EINVAL)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pins[name] != nil {
		return fmt.Errorf("pin %q: %w", name, errno.EEXIST)
	}
	r.set(name, &pin{m: m, pinned: true, foreign: true})
	return nil
}

// Unpin forgets the map called name: the next object that asks for it gets a new
// one. Those who use it keep it. ENOENT: there is none.
func (r *Registry) Unpin(name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.pins[name]
	if p == nil {
		return fmt.Errorf("unpin %q: %w", name, errno.ENOENT)
	}
	r.unpin(name)
	return p.closeUnused()
}

func (r *Registry) unpin(name string) {
	r.pins[name].pinned = false
	delete(r.pins, name)
}

// Map returns the map called name, or nil. It stays open while it is pinned or
// used.
func (r *Registry) Map(name string) Map {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.pins[name]; p != nil {
		return p.m
	}
	return nil
}

// Names returns the names of all maps, sorted.
func (r *Registry) Names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	names := make([]string, 0, len(r.pins))
	for name := range r.pins {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

package mem

import (
	"cmp"
	"fmt"
	"slices"
)

// A Kind is what a region is for.
type Kind uint8

const (
	Plain     Kind = iota // map values, and whatever else is shared
	Reference             // borrowed memory that must be given back
)

// A Region is a stretch of memory that programs may touch.
type Region struct {
	Name string // for messages: "packet", "map counts"
	Kind Kind
	Slab
	base  uint64
	loans int  // Reference: how often it was borrowed
	plain bool // Reference: it was live before, and will be afterwards
}

// NewRegion returns the region of s. A Size or Stride of 0 stands for all of
// s.Bytes, as one object.
func NewRegion(name string, s Slab) Region {
	if s.Stride == 0 || uint64(s.Stride) >= uint64(len(s.Bytes)) {
		// One object. Stride 0 says so to the look-up.
		if s.Size != 0 && uint64(s.Size) < uint64(len(s.Bytes)) {
			s.Bytes = s.Bytes[:s.Size]
		}
		s.Stride, s.Size = 0, 0
	}
	return Region{Name: name, Slab: s, base: Addr(s.Bytes)}
}

// end returns the address after the region's last byte.
func (r *Region) end() uint64 { return r.base + uint64(len(r.Bytes)) }

// window returns the window of what programs may touch round addr, which lies in
// the region: the object, or the part of it between two special fields. ok is
// false where there is nothing.
func (r *Region) window(addr uint64) (w Window, ok bool) {
	if w, ok = r.object(addr); !ok || len(r.Special) == 0 {
		return w, ok
	}
	at, lo, hi := addr-w.base, uint64(0), uint64(len(w.b))
	for i := range r.Special {
		f := &r.Special[i]
		switch start, end := uint64(f.Off), uint64(f.Off)+uint64(f.Size); {
		case at >= end:
			lo = max(lo, end)
		case at < start:
			hi = min(hi, start)
		default:
			return Window{}, false
		}
	}
	return Window{w.base + lo, w.b[lo:hi:hi], w.ro, w.wo}, true
}

// object returns the window of the object that addr, which lies in the region,
// is part of; ok is false between two objects.
func (r *Region) object(addr uint64) (w Window, ok bool) {
	if r.Stride == 0 {
		return Window{r.base, r.Bytes, r.ReadOnly, r.WriteOnly}, true
	}
	start := (addr - r.base) / uint64(r.Stride) * uint64(r.Stride)
	end := start + uint64(r.Size)
	if end > uint64(len(r.Bytes)) || addr-r.base >= end {
		return Window{}, false
	}
	return Window{r.base + start, r.Bytes[start:end:end], r.ReadOnly, r.WriteOnly}, true
}

// A Fixed is the set of regions that every run of a program can reach, such as
// the values of its maps. It never changes.
type Fixed struct{ regions []Region }

// NewFixed returns the set of regions, of which empty ones are left out.
func NewFixed(regions []Region) *Fixed {
	rs := slices.DeleteFunc(slices.Clone(regions), func(r Region) bool { return len(r.Bytes) == 0 })
	slices.SortFunc(rs, func(a, b Region) int {
		return cmp.Or(cmp.Compare(a.base, b.base), cmp.Compare(b.end(), a.end()))
	})
	f := &Fixed{}
	for _, r := range rs {
		// The same memory twice (two names for one map) would hide a region
		// from the search: the longer one counts.
		if n := len(f.regions); n > 0 && r.end() <= f.regions[n-1].end() {
			continue
		}
		f.regions = append(f.regions, r)
	}
	return f
}

// A Space is the memory that one run may touch: the fixed regions of its
// program and those that came to life during the run. The zero value is empty.
// A Space belongs to one goroutine at a time.
type Space struct {
	fixed  *Fixed
	packet Region
	live   []Region // sorted by base; none lies inside another
	gen    uint64   // counts the changes after which a Window may be stale
}

// Reset makes the space hold the regions of f, which may be nil, and no other.
func (s *Space) Reset(f *Fixed) {
	s.fixed = f
	s.packet.Bytes, s.packet.base = nil, 0
	if len(s.live) > 0 {
		clear(s.live) // what a finished run was given must not be kept alive
		s.live = s.live[:0]
	}
	s.gen++
}

// SetPacket makes b the packet, in place of the one before.
func (s *Space) SetPacket(b []byte, readOnly bool) {
	s.packet.Bytes, s.packet.ReadOnly, s.packet.base = b, readOnly, Addr(b)
	s.gen++
}

// InPacket reports whether addr lies in the packet.
func (s *Space) InPacket(addr uint64) bool { return addr-s.packet.base < uint64(len(s.packet.Bytes)) }

// SetFixed replaces the fixed regions; live ones stay.
func (s *Space) SetFixed(f *Fixed) {
	s.fixed = f
	s.gen++
}

// Generation returns a number that changes whenever memory stops being live
// or changes its object. Until then a Window that Find gave stays good.
func (s *Space) Generation() uint64 { return s.gen }

// Add makes b live under name and returns its address. Memory that is already
// live as part of one object stays as it is. What is borrowed more than once is
// live until it was given back as often, and longer if it was live anyway. Add
// keeps b alive until Remove or Reset.
func (s *Space) Add(name string, kind Kind, b []byte, readOnly bool) uint64 {
	addr := Addr(b)
	if len(b) == 0 && (kind == Plain || addr == 0) {
		return 0
	}
	r := s.at(addr)
	if r != nil && len(b) != 0 && len(r.Bytes) == len(b) {
		switch {
		case kind == Reference:
			r.plain = r.plain || r.Kind == Plain
			r.Kind = Reference
			r.loans++
		case r.Kind == Reference:
			r.plain = true
		}
		return addr
	}
	if kind == Plain {
		if s.Holds(addr, len(b)) {
			return addr
		}
	}
	added := NewRegion(name, Slab{Bytes: b, ReadOnly: readOnly})
	added.Kind = kind
	if kind == Reference {
		added.loans = 1
	}
	s.insert(added)
	return addr
}

// at returns the live region that starts at addr, or nil.
func (s *Space) at(addr uint64) *Region {
	if i := s.after(addr); i > 0 && s.live[i-1].base == addr {
		return &s.live[i-1]
	}
	return nil
}

// insert makes r live.
func (s *Space) insert(r Region) {
	i := s.after(r.base)
	// Drop what lies inside the new region; it would hide it from the search.
	j := i
	for i > 0 && s.live[i-1].base == r.base {
		i--
	}
	for j < len(s.live) && s.live[j].end() <= r.end() {
		j++
	}
	if i != j {
		s.gen++
	}
	s.live = slices.Replace(s.live, i, j, r)
}

// AddSlab makes the objects of slab live under name.
func (s *Space) AddSlab(name string, slab Slab) {
	if len(slab.Bytes) == 0 || s.Region(Addr(slab.Bytes)) != nil {
		return
	}
	s.insert(NewRegion(name, slab))
}

// Restrict limits what programs may do with the live region that starts at
// addr, if there is one.
func (s *Space) Restrict(addr uint64, readOnly, writeOnly bool) {
	if r := s.at(addr); r != nil {
		r.ReadOnly, r.WriteOnly = readOnly, writeOnly
		s.gen++
	}
}

// IsReference reports whether borrowed memory starts at addr.
func (s *Space) IsReference(addr uint64) bool {
	r := s.at(addr)
	return r != nil && r.Kind == Reference
}

// Remove ends the life of the region that starts at addr, or, if it was borrowed,
// one loan of it.
func (s *Space) Remove(addr uint64) {
	i := s.after(addr) - 1
	if i < 0 || s.live[i].base != addr {
		return
	}
	switch r := &s.live[i]; {
	case r.loans > 1:
		r.loans--
	case r.plain:
		r.Kind, r.loans, r.plain = Plain, 0, false
	default:
		s.live = slices.Delete(s.live, i, i+1)
	}
	s.gen++
}

// after returns the index of the first live region that starts after addr.
func (s *Space) after(addr uint64) int { return after(s.live, addr) }

func after(rs []Region, addr uint64) int {
	lo, hi := 0, len(rs)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if rs[mid].base <= addr {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// region returns the region of rs that holds addr, or nil. Regions overlap
// only if a host shared overlapping memory, hence the look at a neighbour.
func region(rs []Region, addr uint64) *Region {
	i := after(rs, addr) - 1
	for n := 0; i >= 0 && n < 2; i, n = i-1, n+1 {
		if r := &rs[i]; addr-r.base < uint64(len(r.Bytes)) {
			return r
		}
	}
	return nil
}

// Region returns the region that holds addr, or nil. It is valid until the
// space changes.
func (s *Space) Region(addr uint64) *Region {
	if s.InPacket(addr) {
		return &s.packet
	}
	if r := region(s.live, addr); r != nil {
		return r
	}
	if s.fixed != nil {
		return region(s.fixed.regions, addr)
	}
	return nil
}

// Find returns the window of the object that holds addr.
func (s *Space) Find(addr uint64) (w Window, ok bool) {
	r := s.Region(addr)
	if r == nil {
		return Window{}, false
	}
	return r.window(addr)
}

// Holds reports whether the n bytes at addr lie inside one object of one region,
// special fields or not.
func (s *Space) Holds(addr uint64, n int) bool {
	r := s.Region(addr)
	if r == nil {
		return false
	}
	w, ok := r.object(addr)
	return ok && w.Bytes(addr, n) != nil
}

// SpecialAt reports whether a special field of the given kind begins at addr.
func (s *Space) SpecialAt(addr uint64, kind string) bool {
	r := s.Region(addr)
	if r == nil || len(r.Special) == 0 {
		return false
	}
	w, ok := r.object(addr)
	if !ok {
		return false
	}
	for i := range r.Special {
		if f := &r.Special[i]; f.Kind == kind && uint64(f.Off) == addr-w.base {
			return true
		}
	}
	return false
}

// Bytes returns the n bytes at addr, aliased, if they lie inside one object of
// one region, else nil. n = 0 gives an empty slice that is not nil.
func (s *Space) Bytes(addr uint64, n int) []byte {
	if n == 0 {
		return []byte{}
	}
	w, ok := s.Find(addr)
	if !ok {
		return nil
	}
	return w.Bytes(addr, n)
}

// near is how far outside a region an address still counts as meant for it.
const near = 1 << 16

// Describe says where addr is, for people: the region that holds it or, if
// none does, the nearest one, and the offset from its start.
func (s *Space) Describe(addr uint64) (name string, off int64, size int) {
	s.packet.Name = "packet"
	if r := s.Region(addr); r != nil {
		return describe(r, addr)
	}
	var best *Region
	dist := uint64(near)
	look := func(rs []Region) {
		i := after(rs, addr)
		if i > 0 && addr-rs[i-1].end() < dist {
			best, dist = &rs[i-1], addr-rs[i-1].end()
		}
		if i < len(rs) && rs[i].base-addr < dist {
			best, dist = &rs[i], rs[i].base-addr
		}
	}
	if s.packet.base != 0 {
		look([]Region{s.packet})
	}
	look(s.live)
	if s.fixed != nil {
		look(s.fixed.regions)
	}
	if best == nil {
		return "", 0, 0
	}
	return describe(best, addr)
}

func describe(r *Region, addr uint64) (string, int64, int) {
	off := int64(addr - r.base)
	if r.Stride == 0 {
		return r.Name, off, len(r.Bytes)
	}
	i := off / int64(r.Stride)
	if off < 0 || off >= int64(len(r.Bytes)) {
		i = 0
	}
	return fmt.Sprintf("%s, object %d", r.Name, i), off - i*int64(r.Stride), int(r.Size)
}

package main

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/skepvm/skep/elf"
	"github.com/skepvm/skep/examples/load-balancer/maglev"
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

//go:embed balancer.o
var object []byte

// Settings are fixed once a Balancer is made. What is zero stays as tables.h
// has it.
type Settings struct {
	Gateway     net.HardwareAddr // of the router to the backends; zero is no address
	MTU         uint16           // of the way to the backends
	HashSeed    uint64           // what clients should not know
	UDPTimeout  time.Duration
	FloodLimit  uint64        // new connections per CPU that are noted in a FloodWindow
	FloodWindow time.Duration // a second
	Connections uint32        // that the table holds
	Now         func() uint64 // nanoseconds; nil: the host's clock
}

// A Service is what clients connect to. Port 0 stands for all ports of the
// protocol that have no service of their own.
type Service struct {
	Addr     netip.Addr
	Port     uint16
	Protocol Protocol
}

func (s Service) String() string {
	return fmt.Sprintf("%v/%v", netip.AddrPortFrom(s.Addr, s.Port), s.Protocol)
}

// MarshalText returns s as String does.
func (s Service) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// A Backend is a server of a service.
type Backend struct {
	Addr netip.Addr
	// Weight is its share of new connections. One with weight 0 keeps the
	// connections that it has.
	Weight uint32
}

// A VIP says how a service is balanced.
type VIP struct {
	Service  Service
	Backends []Backend
	NoTable  bool // by the hash alone, without a table of connections
	NoPorts  bool // all connections of a client to one backend
}

// A Balancer is the loaded program with its tables. Its methods may be used
// from any number of goroutines. Counts are exact if no more packets are
// balanced at once than there are virtual CPUs (maps.NumCPU).
type Balancer struct {
	coll   *vm.Collection
	prog   *vm.Program
	events *maps.RingBufReader

	mu       sync.Mutex
	vips     map[Service]*vip
	numbers  map[uint32]*vip    // those in use
	backends map[uint32]backend // those in use
	last     uint32             // the last backend number given away
}

type vip struct {
	VIP
	number uint32
	ring   maps.Map
	byAddr map[netip.Addr]uint32 // numbers of its backends
}

type backend struct {
	vip  *vip
	addr netip.Addr
}

// New loads the program.
func New(s Settings, engine vm.Engine) (*Balancer, error) {
	return newFrom(object, s, vm.Options{Engine: engine})
}

func newFrom(object []byte, s Settings, opts vm.Options) (*Balancer, error) {
	obj, err := load(object, s)
	if err != nil {
		return nil, err
	}
	if s.Now != nil {
		opts.Host.Now = func(helpers.Clock) uint64 { return s.Now() }
	}
	coll, err := vm.Load(obj, opts)
	if err != nil {
		return nil, err
	}
	events, err := maps.NewRingBufReader(coll.Map("events"))
	if err != nil {
		coll.Close()
		return nil, err
	}
	return &Balancer{
		coll: coll, prog: coll.Program("balance"), events: events,
		vips: map[Service]*vip{}, numbers: map[uint32]*vip{}, backends: map[uint32]backend{},
	}, nil
}

// load reads an object and puts the settings in it.
func load(object []byte, s Settings) (*prog.Object, error) {
	obj, err := elf.Load(bytes.NewReader(object), "balancer.o", elf.Options{})
	if err != nil {
		return nil, err
	}
	for name, x := range map[string]any{
		"gateway":      []byte(s.Gateway),
		"mtu":          s.MTU,
		"hash_seed":    s.HashSeed,
		"udp_timeout":  uint64(s.UDPTimeout),
		"flood_limit":  s.FloodLimit,
		"flood_window": uint64(s.FloodWindow),
	} {
		if b, ok := x.([]byte); ok && len(b) == 0 || x == uint16(0) || x == uint64(0) {
			continue
		}
		if err := obj.Variable(name).Set(x); err != nil {
			return nil, fmt.Errorf("setting %s: %w", name, err)
		}
	}
	if s.Connections != 0 {
		obj.Map("connections").MaxEntries = s.Connections
	}
	return obj, nil
}

// Close ends the use of the balancer, its events included.
func (b *Balancer) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	errs := []error{b.events.Close(), b.coll.Close()}
	for _, v := range b.vips {
		errs = append(errs, v.ring.Close())
	}
	clear(b.vips)
	return errors.Join(errs...)
}

// Headroom is what a packet needs before it: an IPv6 header, and that of the
// ICMP message in which a packet that is too big goes back.
const Headroom = 40 + 8

// Balance decides about a packet, which it changes, and returns the XDP verdict.
func (b *Balancer) Balance(p *vm.Packet) (uint64, error) { return b.prog.Run(p) }

// Set adds a service, or changes its backends. A backend that is no longer named
// gives up its connections at once; to let them end, give it weight 0 first. New
// connections go by the old ring or by the new one, and never by a part of both.
func (b *Balancer) Set(want VIP) error {
	if err := check(want); err != nil {
		return fmt.Errorf("%v: %w", want.Service, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	v := b.vips[want.Service]
	if v == nil {
		number, err := b.vipNumber()
		if err != nil {
			return err
		}
		v = &vip{number: number, byAddr: map[netip.Addr]uint32{}}
	}
	numbers, err := b.backendNumbers(v, want.Backends)
	if err != nil {
		return err
	}
	ring, err := b.makeRing(want.Backends, numbers)
	if err != nil {
		return err
	}
	// From here on nothing can fail but an object that does not fit this code.
	for i, n := range numbers {
		addr := want.Backends[i].Addr
		if err := b.put("backends", n, cBackend{Addr: addr.As16(), Flags: backendUp}); err != nil {
			return err
		}
		v.byAddr[addr], b.backends[n] = n, backend{v, addr}
	}
	if err := b.coll.Map("rings").(maps.MapHolder).StoreMap(encode(v.number), ring, maps.Any); err != nil {
		return err
	}
	if v.ring != nil {
		v.ring.Close()
	}
	v.VIP, v.ring = want, ring
	if b.vips[want.Service] == nil {
		b.vips[want.Service], b.numbers[v.number] = v, v
		if err := b.countAddress(want.Service.Addr, 1); err != nil {
			return err
		}
	}
	if err := b.put("vips", want.Service.key(), cVIP{v.number, want.flags()}); err != nil {
		return err
	}
	return b.forget(v, numbers)
}

// Remove ends a service. Packets to it are not for the balancer any more.
func (b *Balancer) Remove(s Service) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	v := b.vips[s]
	if v == nil {
		return fmt.Errorf("%v: no such service", s)
	}
	if err := b.coll.Map("vips").Delete(encode(s.key())); err != nil {
		return err
	}
	if err := b.countAddress(s.Addr, -1); err != nil {
		return err
	}
	if err := b.coll.Map("rings").Delete(encode(v.number)); err != nil {
		return err
	}
	if err := b.forget(v, nil); err != nil {
		return err
	}
	if err := b.put("vip_counters", v.number, make([]cVIPCounter, maps.NumCPU())); err != nil {
		return err
	}
	delete(b.vips, s)
	delete(b.numbers, v.number)
	return v.ring.Close()
}

func check(v VIP) error {
	if !v.Service.Addr.IsValid() || v.Service.Addr.Is4In6() {
		return errors.New("no address of a service")
	}
	if p := v.Service.Protocol; p != TCP && p != UDP {
		return fmt.Errorf("%v: only tcp and udp are balanced", p)
	}
	seen := map[netip.Addr]bool{}
	for _, be := range v.Backends {
		switch {
		case !be.Addr.IsValid(), be.Addr.Is4In6():
			return fmt.Errorf("backend %v: no address", be.Addr)
		case be.Addr.Is4() && v.Service.Addr.Is6():
			return fmt.Errorf("backend %v: IPv6 is not carried in IPv4", be.Addr)
		case seen[be.Addr]:
			return fmt.Errorf("backend %v is named twice", be.Addr)
		}
		seen[be.Addr] = true
	}
	return nil
}

func (s Service) key() cService {
	return cService{Addr: s.Addr.As16(), Port: port(s.Port), Proto: s.Protocol}
}

func (v VIP) flags() (f uint32) {
	if v.NoTable {
		f |= vipNoTable
	}
	if v.NoPorts {
		f |= vipNoPorts
	}
	return f
}

func (b *Balancer) vipNumber() (uint32, error) {
	for n := range uint32(maxVIPs) {
		if b.numbers[n] == nil {
			return n, nil
		}
	}
	return 0, fmt.Errorf("there are %d services already", maxVIPs)
}

// backendNumbers returns the number of each backend: the one it has, or one that
// nobody had for long.
func (b *Balancer) backendNumbers(v *vip, backends []Backend) ([]uint32, error) {
	numbers := make([]uint32, len(backends))
	added := 0
	for i, be := range backends {
		if numbers[i] = v.byAddr[be.Addr]; numbers[i] == 0 {
			added++
		}
	}
	if len(b.backends)+added >= maxBackends {
		return nil, fmt.Errorf("%d backends are too many: all services have %d, and %d is the limit", added, len(b.backends), maxBackends-1)
	}
	for i := range numbers {
		for numbers[i] == 0 {
			b.last = b.last%(maxBackends-1) + 1 // 1 to maxBackends-1
			if _, used := b.backends[b.last]; !used {
				numbers[i] = b.last
			}
		}
	}
	return numbers, nil
}

// makeRing returns a map of numbers, each as often as the backend's weight says.
func (b *Balancer) makeRing(backends []Backend, numbers []uint32) (maps.Map, error) {
	named := make([]maglev.Backend, len(backends))
	for i, be := range backends {
		named[i] = maglev.Backend{Name: be.Addr.String(), Weight: be.Weight}
	}
	places, err := maglev.Ring(named, ringSize)
	if err != nil {
		return nil, err
	}
	keys := make([]uint32, len(places))
	for i := range places {
		keys[i], places[i] = uint32(i), numbers[places[i]]
	}
	ring, err := maps.New(b.coll.Map("rings").Spec().Inner)
	if err != nil {
		return nil, err
	}
	if _, err := maps.UpdateBatch(ring, encode(keys), encode(places), 0); err != nil {
		ring.Close()
		return nil, err
	}
	return ring, nil
}

// countAddress adds n to how many services addr has.
func (b *Balancer) countAddress(addr netip.Addr, n int) error {
	m, key := b.coll.Map("addresses"), encode(addr.As16())
	count := make([]byte, 4)
	if err := m.Lookup(key, count); err != nil && !errors.Is(err, maps.ErrKeyNotExist) {
		return err
	}
	services, err := decode[uint32](count)
	if err != nil {
		return err
	}
	if services += uint32(n); services == 0 {
		return m.Delete(key)
	}
	return m.Update(key, encode(services), maps.Any)
}

// forget ends the use of the backends of v that are not among numbers.
func (b *Balancer) forget(v *vip, numbers []uint32) error {
	gone := map[uint32]bool{}
	for _, n := range v.byAddr {
		gone[n] = true
	}
	for _, n := range numbers {
		delete(gone, n)
	}
	if len(gone) == 0 {
		return nil
	}
	for n := range gone { // first, so that no connection is noted after the walk
		if err := b.put("backends", n, cBackend{}); err != nil {
			return err
		}
	}
	if err := b.forgetConnections(gone); err != nil {
		return err
	}
	for n := range gone {
		if err := b.put("backend_counters", n, make([]Counter, maps.NumCPU())); err != nil {
			return err
		}
		delete(v.byAddr, b.backends[n].addr)
		delete(b.backends, n)
	}
	return nil
}

// forgetConnections takes the connections of backends out of the table.
func (b *Balancer) forgetConnections(backends map[uint32]bool) error {
	m := b.coll.Map("connections")
	var walk maps.Cursor
	keySize, valueSize := int(m.Spec().KeySize), int(m.Spec().ValueSize)
	keys, values := make([]byte, 256*keySize), make([]byte, 256*valueSize)
	for {
		n, end := maps.LookupBatch(m, &walk, keys, values)
		if end != nil && !errors.Is(end, maps.ErrKeyNotExist) {
			return end
		}
		for i := range n {
			c, err := decode[cConnection](values[i*valueSize:][:valueSize])
			if err != nil {
				return err
			}
			if !backends[c.Backend] {
				continue
			}
			if err := m.Delete(keys[i*keySize:][:keySize]); err != nil && !errors.Is(err, maps.ErrKeyNotExist) {
				return err
			}
		}
		if end != nil {
			return nil
		}
	}
}

func (b *Balancer) put(table string, key, value any) error {
	return b.coll.Map(table).Update(encode(key), encode(value), maps.Any)
}

package main

import (
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// Which backend a packet goes to, and what is remembered.

var web = Service{netip.MustParseAddr("192.0.2.10"), 443, TCP}

func backends(weights map[string]uint32) (bs []Backend) {
	for s, w := range weights {
		bs = append(bs, Backend{netip.MustParseAddr(s), w})
	}
	slices.SortFunc(bs, func(x, y Backend) int { return x.Addr.Compare(y.Addr) })
	return bs
}

// newService returns a balancer of one service.
func newService(t *testing.T, v VIP, s Settings) *Balancer {
	t.Helper()
	b, err := New(s, vm.Auto)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	set(t, b, v)
	return b
}

func set(t *testing.T, b *Balancer, v VIP) {
	t.Helper()
	if err := b.Set(v); err != nil {
		t.Fatal(err)
	}
}

// to returns the backend that a frame goes to.
func to(t *testing.T, b *Balancer, f []byte) netip.Addr {
	t.Helper()
	verdict, got := balance(t, b, f)
	if verdict != xdpTX {
		t.Fatalf("verdict %d", verdict)
	}
	return parse(t, got[14:]).dst
}

func client(n int) ip {
	return ip{src: netip.AddrFrom4([4]byte{198, 18, byte(n >> 8), byte(n)}).String(), dst: "192.0.2.10"}
}

// TestShares sends 20,000 new connections. The share of a backend with share p
// of the ring is within five standard deviations of p.
func TestShares(t *testing.T) {
	weights := map[string]uint32{"10.0.0.1": 1, "10.0.0.2": 2, "10.0.0.3": 5, "10.0.0.4": 0}
	b := newService(t, VIP{Service: web, Backends: backends(weights)}, Settings{})
	const n = 20_000
	got := map[netip.Addr]int{}
	for i := range n {
		got[to(t, b, client(i/8).tcp(uint16(1024+i%8), 443, flagSYN, nil))]++
	}
	for _, be := range backends(weights) {
		p := float64(be.Weight) / 8
		if d := math.Abs(float64(got[be.Addr])/n - p); d > 5*math.Sqrt(p*(1-p)/n) {
			t.Errorf("%v got %d of %d, want %.1f %%", be.Addr, got[be.Addr], n, 100*p)
		}
	}
	if s := report(t, b).Services[0]; s.Opened != n || s.Missed != 0 {
		t.Errorf("%d connections began, %d were missed", s.Opened, s.Missed)
	}
}

// TestDrain drains a backend, then takes it away. Its connections stay with it
// until then; those of others stay anyway.
func TestDrain(t *testing.T) {
	all := map[string]uint32{"10.0.0.1": 1, "10.0.0.2": 1, "10.0.0.3": 1}
	v := VIP{Service: web, Backends: backends(all)}
	b := newService(t, v, Settings{})
	const n = 300
	first := map[int]netip.Addr{}
	for i := range n {
		first[i] = to(t, b, client(i).tcp(1024, 443, flagSYN, nil))
	}
	drained := netip.MustParseAddr("10.0.0.2")
	v.Backends[1].Weight = 0
	set(t, b, v)
	moved := 0
	for i := range n {
		if got := to(t, b, client(i).tcp(1024, 443, flagACK, nil)); got != first[i] {
			t.Fatalf("while %v is drained, connection %d goes from %v to %v", drained, i, first[i], got)
		}
		if got := to(t, b, client(i).tcp(2048, 443, flagSYN, nil)); got == drained {
			t.Fatalf("%v is drained and gets a new connection", drained)
		}
	}
	v.Backends = slices.Delete(v.Backends, 1, 2)
	set(t, b, v)
	for i := range n {
		got := to(t, b, client(i).tcp(1024, 443, flagACK, nil))
		switch {
		case got == drained:
			t.Fatalf("%v is gone and gets packets", drained)
		case first[i] == drained:
			moved++
		case got != first[i]:
			t.Fatalf("%v is gone, and connection %d goes from %v to %v", drained, i, first[i], got)
		}
	}
	if s := report(t, b).Services[0]; moved == 0 || s.Missed != uint64(moved) || len(s.Backends) != 2 {
		t.Errorf("%d connections moved, %d were missed, %d backends", moved, s.Missed, len(s.Backends))
	}
}

// TestEndings: a RST ends a connection, whose entry goes away; a FIN does not.
// A SYN begins it anew.
func TestEndings(t *testing.T) {
	v := VIP{Service: web, Backends: backends(map[string]uint32{"10.0.0.1": 1})}
	b := newService(t, v, Settings{})
	h := client(1)
	for _, step := range []struct {
		flags   byte
		event   EventKind // 0: none
		entries int
	}{
		{flagSYN, Opened, 1},
		{flagACK, 0, 1},
		{flagACK | flagFIN, Closed, 1},
		{flagACK | flagFIN, 0, 1},
		{flagACK, 0, 1},
		{flagSYN, Opened, 1},
		{flagRST, Closed, 0},
		{flagRST, 0, 0},
		{flagACK, 0, 1}, // the table had forgotten it
		{flagRST | flagACK, Closed, 0},
	} {
		to(t, b, h.tcp(1024, 443, step.flags, nil))
		var want []Event
		if step.event != 0 {
			want = []Event{{
				Kind: step.event, Client: netip.MustParseAddrPort("198.18.0.1:1024"), Service: web,
				Backend: netip.MustParseAddr("10.0.0.1"), Len: 40,
			}}
		}
		got := events(t, b)
		for i := range got {
			got[i].Time = 0
		}
		if !slices.Equal(got, want) {
			t.Errorf("after %#x: events %v, want %v", step.flags, got, want)
		}
		if n := entries(t, b); n != step.entries {
			t.Errorf("after %#x: %d entries, want %d", step.flags, n, step.entries)
		}
	}
}

func entries(t *testing.T, b *Balancer) int {
	t.Helper()
	m := b.coll.Map("connections")
	keys, values := make([]byte, 1000*m.Spec().KeySize), make([]byte, 1000*m.Spec().ValueSize)
	n, _ := maps.LookupBatch(m, new(maps.Cursor), keys, values)
	return n
}

// TestUDPTimeout: what is silent for 30 seconds is forgotten.
func TestUDPTimeout(t *testing.T) {
	now := uint64(1)
	service := Service{web.Addr, 443, UDP}
	v := VIP{Service: service, Backends: backends(map[string]uint32{"10.0.0.1": 1})}
	b := newService(t, v, Settings{Now: func() uint64 { return now }})
	for _, step := range []struct {
		after time.Duration
		opens bool
	}{{0, true}, {time.Second, false}, {30 * time.Second, false}, {30 * time.Second, false}, {30*time.Second + 1, true}} {
		now += uint64(step.after)
		to(t, b, client(1).udp(1024, 443, nil))
		if es := events(t, b); len(es) == 1 != step.opens {
			t.Errorf("after %v: events %v", step.after, es)
		}
	}
}

// TestFlood: of too many connections in a second, the rest are balanced by the
// ring, and not noted.
func TestFlood(t *testing.T) {
	now := uint64(1e9)
	v := VIP{Service: web, Backends: backends(map[string]uint32{"10.0.0.1": 1, "10.0.0.2": 1})}
	b := newService(t, v, Settings{FloodLimit: 10, Now: func() uint64 { return now }})
	flood := func() {
		for i := range 100 {
			to(t, b, client(i).tcp(1024, 443, flagSYN, nil))
		}
	}
	flood()
	s, n := report(t, b).Services[0], entries(t, b)
	if n%10 != 0 || n == 0 || n > 10*maps.NumCPU() || s.Flooded != uint64(100-n) || s.Opened != 100 {
		t.Errorf("%d entries, %d flooded, %d opened", n, s.Flooded, s.Opened)
	}
	now += 1e9 + 1
	to(t, b, client(1000).tcp(1024, 443, flagSYN, nil))
	if got := entries(t, b); got != n+1 {
		t.Errorf("a second later a connection is not noted: %d entries, want %d", got, n+1)
	}
}

// TestAffinity: with NoPorts, what a client sends goes to one backend.
func TestAffinity(t *testing.T) {
	all := Service{web.Addr, 0, TCP}
	bs := backends(map[string]uint32{"10.0.0.1": 1, "10.0.0.2": 1, "10.0.0.3": 1})
	b := newService(t, VIP{Service: all, Backends: bs, NoPorts: true}, Settings{})
	used := map[netip.Addr]bool{}
	for i := range 50 {
		first := to(t, b, client(i).tcp(1024, 21, flagSYN, nil))
		used[first] = true
		for port := range uint16(20) {
			// A port of the service's that differs is another service.
			if got := to(t, b, client(i).tcp(2000+port, 21, flagSYN, nil)); got != first {
				t.Fatalf("client %d goes to %v and %v", i, first, got)
			}
		}
	}
	if len(used) != 3 {
		t.Errorf("50 clients use %d of 3 backends", len(used))
	}
}

// TestRemove: packets to a service that is gone pass; one with the same address
// stays.
func TestRemove(t *testing.T) {
	v := VIP{Service: web, Backends: backends(map[string]uint32{"10.0.0.1": 1})}
	b := newService(t, v, Settings{})
	other := v
	other.Service.Port = 80
	set(t, b, other)
	ping := client(1).icmp(8, 0, 1, nil)
	check := func(what string, f []byte, want uint64) {
		t.Helper()
		if got, _ := balance(t, b, f); got != want {
			t.Errorf("%s: verdict %d, want %d", what, got, want)
		}
	}
	syn := client(1).tcp(1024, 443, flagSYN, nil)
	check("before", syn, xdpTX)
	if err := b.Remove(web); err != nil {
		t.Fatal(err)
	}
	check("after", syn, 2)
	check("the other", client(1).tcp(1024, 80, flagSYN, nil), xdpTX)
	check("ping", ping, xdpTX)
	if err := b.Remove(other.Service); err != nil {
		t.Fatal(err)
	}
	check("ping to nothing", ping, 2)
	if err := b.Remove(web); err == nil {
		t.Error("a service was removed twice")
	}
	set(t, b, v)
	if s := report(t, b).Services[0]; s.Packets != 0 || s.Backends[0].Packets != 0 {
		t.Errorf("a new service has counted %+v", s)
	}
	check("again", syn, xdpTX)
	if n := entries(t, b); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// TestRefusedServices are what Set does not take.
func TestRefusedServices(t *testing.T) {
	b := newService(t, VIP{Service: web}, Settings{})
	addr := netip.MustParseAddr
	six := Service{addr("2001:db8::10"), 443, TCP}
	for name, v := range map[string]VIP{
		"no address":           {Service: Service{Port: 443, Protocol: TCP}},
		"a mapped address":     {Service: Service{addr("::ffff:192.0.2.1"), 443, TCP}},
		"ICMP":                 {Service: Service{web.Addr, 0, 1}},
		"no backend's address": {Service: web, Backends: []Backend{{Weight: 1}}},
		"IPv6 in IPv4":         {Service: six, Backends: []Backend{{addr("10.0.0.1"), 1}}},
		"one backend twice":    {Service: web, Backends: []Backend{{addr("10.0.0.1"), 1}, {addr("10.0.0.1"), 2}}},
		"too many backends":    {Service: six, Backends: make([]Backend, maxBackends)},
	} {
		for i := range v.Backends {
			if name == "too many backends" {
				a := addr("fd00::").As16()
				binary.BigEndian.PutUint32(a[12:], uint32(i+1))
				v.Backends[i] = Backend{netip.AddrFrom16(a), 1}
			}
		}
		if err := b.Set(v); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if n := len(report(t, b).Services); n != 1 {
		t.Errorf("%d services, want 1", n)
	}
}

// TestConcurrent balances on all virtual CPUs while backends come and go. No
// packet is lost or goes where it must not.
func TestConcurrent(t *testing.T) {
	v := VIP{Service: web, Backends: backends(map[string]uint32{"10.0.0.1": 1, "10.0.0.2": 1})}
	more := VIP{Service: web, Backends: backends(map[string]uint32{"10.0.0.1": 1, "10.0.0.2": 0, "10.0.0.3": 2})}
	b := newService(t, v, Settings{})
	packets := 3000
	if testing.Short() {
		packets = 500
	}
	workers := max(1, maps.NumCPU()-1)
	stop := make(chan struct{})
	var changes, runs sync.WaitGroup
	changes.Add(1)
	go func() {
		defer changes.Done()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := b.Set([]VIP{more, v}[i%2]); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for w := range workers {
		runs.Add(1)
		go func() {
			defer runs.Done()
			for i := range packets {
				p := vm.NewPacket(client(w).tcp(uint16(1024+i/10), 443, []byte{flagSYN, flagACK}[min(i%10, 1)], nil), Headroom, 0)
				verdict, err := b.Balance(p)
				if err != nil || verdict != xdpTX {
					t.Errorf("verdict %d, error %v", verdict, err)
					return
				}
				dst := netip.AddrFrom4([4]byte(p.Data()[14+16:][:4]))
				if !slices.Contains([]string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}, dst.String()) {
					t.Errorf("a packet goes to %v", dst)
					return
				}
			}
		}()
	}
	runs.Wait()
	close(stop)
	changes.Wait()
	if s := report(t, b).Services[0]; s.Packets != uint64(workers*packets) {
		t.Errorf("%d packets were counted, want %d", s.Packets, workers*packets)
	}
}

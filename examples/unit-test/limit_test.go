package limit

import (
	"context"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/skepvm/skep/elf"
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// Verdicts (enum xdp_action, include/uapi/linux/bpf.h).
const (
	xdpDrop = 1
	xdpPass = 2
)

// A bench is the program in this process, with a clock that the test sets.
type bench struct {
	*testing.T
	coll    *vm.Collection
	now     time.Duration
	sources *maps.Typed[uint32, limitSource]
	dropped *maps.Variable[uint64]
	reports *maps.RingBufReader
}

// newBench loads what bpf2go embedded, with a limit of perSecond.
func newBench(t *testing.T, perSecond uint32) *bench {
	t.Helper()
	b := &bench{T: t}
	spec, err := loadLimit()
	b.check(err)
	b.check(spec.Variables[limitVarPerSecond].Set(perSecond))
	obj, err := elf.FromSpec(spec, elf.Options{})
	b.check(err)
	b.coll, err = vm.Load(obj, vm.Options{
		Host: helpers.Host{Now: func(helpers.Clock) uint64 { return uint64(b.now) }},
	})
	b.check(err)
	t.Cleanup(func() { b.coll.Close() })
	b.sources, err = maps.NewTyped[uint32, limitSource](b.coll.Map(limitMapSources))
	b.check(err)
	b.dropped, err = vm.Variable[uint64](b.coll, limitVarDropped)
	b.check(err)
	b.reports, err = maps.NewRingBufReader(b.coll.Map(limitMapReports))
	b.check(err)
	return b
}

func (b *bench) check(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// send returns the verdicts on n packets from a source.
func (b *bench) send(from string, n int) (verdicts map[uint64]int) {
	b.Helper()
	verdicts = map[uint64]int{}
	for range n {
		v, err := b.coll.Program(limitProgLimit).Run(ipv4(from))
		b.check(err)
		verdicts[v]++
	}
	return verdicts
}

// want compares verdicts with numbers of packets that pass and that do not.
func (b *bench) want(what string, verdicts map[uint64]int, pass, drop int) {
	b.Helper()
	if verdicts[xdpPass] != pass || verdicts[xdpDrop] != drop {
		b.Errorf("%s: %d pass and %d are dropped, want %d and %d", what, verdicts[xdpPass], verdicts[xdpDrop], pass, drop)
	}
}

// ipv4 returns an empty packet.
func ipv4(from string) []byte {
	p := make([]byte, 34)
	p[12], p[13], p[14] = 0x08, 0x00, 0x45
	src := netip.MustParseAddr(from).As4()
	copy(p[26:], src[:])
	return p
}

func TestLimit(t *testing.T) {
	b := newBench(t, 5)
	b.want("a source", b.send("192.0.2.1", 12), 5, 7)
	b.want("another source", b.send("192.0.2.2", 5), 5, 0)
	if n, err := b.dropped.Get(); n != 7 || err != nil {
		t.Errorf("dropped: %d, %v", n, err)
	}
	b.now = time.Second - 1
	b.want("the end of the second", b.send("192.0.2.1", 1), 0, 1)
	b.now = time.Second
	b.want("the next second", b.send("192.0.2.1", 6), 5, 1)
}

func TestOtherPackets(t *testing.T) {
	b := newBench(t, 0)
	for _, p := range [][]byte{{}, make([]byte, 33), make([]byte, 100)} {
		if v, err := b.coll.Program(limitProgLimit).Run(p); v != xdpPass || err != nil {
			t.Errorf("%d bytes that are no IPv4: %d, %v", len(p), v, err)
		}
	}
	for range b.sources.Iterate().All() {
		t.Error("a source was noted")
	}
}

// TestReports: one report a second for each source.
func TestReports(t *testing.T) {
	b := newBench(t, 2)
	for range 3 {
		b.send("192.0.2.1", 10)
		b.now += time.Second
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 3 {
		rec, err := b.reports.Read(ctx)
		b.check(err)
		r := limitReport{Addr: binary.NativeEndian.Uint32(rec.Data), Packets: binary.NativeEndian.Uint32(rec.Data[4:])}
		if want := (limitReport{Addr: addr("192.0.2.1"), Packets: 3}); r != want || rec.Remaining%16 != 0 {
			t.Errorf("report %+v, want %+v", r, want)
		}
	}
}

// addr returns an address as the program's maps hold it.
func addr(s string) uint32 {
	a := netip.MustParseAddr(s).As4()
	return binary.NativeEndian.Uint32(a[:])
}

// TestState begins in states that packets would take long to lead to.
func TestState(t *testing.T) {
	b := newBench(t, 100)
	fresh, err := b.coll.Snapshot()
	b.check(err)
	for _, tc := range []struct {
		name       string
		state      limitSource
		now        time.Duration
		pass, drop int
	}{
		{"almost at the limit", limitSource{Packets: 98}, 0, 2, 1},
		{"over it for long", limitSource{Packets: 1 << 31, Reported: true}, time.Second - 1, 0, 3},
		{"a second ago", limitSource{Packets: 1 << 31}, time.Second, 3, 0},
		{"the clock went back", limitSource{Since: 5}, 0, 3, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b.check(b.coll.Restore(fresh))
			b.check(b.sources.Put(addr("192.0.2.1"), tc.state))
			b.now = tc.now
			b.want("three packets", b.send("192.0.2.1", 3), tc.pass, tc.drop)
			if n, err := b.dropped.Get(); n != uint64(tc.drop) || err != nil {
				t.Errorf("dropped: %d, %v", n, err)
			}
		})
	}
}

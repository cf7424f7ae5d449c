package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/skepvm/skep/maps"
)

// A Counter is struct counter.
type Counter struct {
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

func (c *Counter) add(d Counter) {
	c.Packets += d.Packets
	c.Bytes += d.Bytes
}

// A Report is what a Balancer has counted so far, on all CPUs together. Bytes of
// outcomes are those of frames as they came; of services and backends, those of
// the IP packets in them.
type Report struct {
	Outcomes   map[string]Counter `json:"outcomes"`
	Services   []ServiceReport    `json:"services"`
	LostEvents uint64             `json:"lost_events"`
}

// A ServiceReport is the part of a Report that is about one service.
type ServiceReport struct {
	Service string `json:"service"`
	Counter
	Opened   uint64          `json:"opened"`  // connections that began
	Missed   uint64          `json:"missed"`  // connections under way that were not in the table
	Flooded  uint64          `json:"flooded"` // connections that were not noted, there being too many
	Backends []BackendReport `json:"backends"`
}

// A BackendReport says what went to one backend of a service.
type BackendReport struct {
	Addr netip.Addr `json:"address"`
	Counter
}

// Report returns what was counted so far.
func (b *Balancer) Report() (*Report, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := &Report{Outcomes: map[string]Counter{}}
	for o := range numOutcomes {
		var sum Counter
		if err := perCPU(b.coll.Map("outcomes"), uint32(o), sum.add); err != nil {
			return nil, err
		}
		r.Outcomes[o.String()] = sum
	}
	for _, v := range b.vips {
		s, err := b.serviceReport(v)
		if err != nil {
			return nil, err
		}
		r.Services = append(r.Services, s)
	}
	slices.SortFunc(r.Services, func(x, y ServiceReport) int { return strings.Compare(x.Service, y.Service) })
	return r, perCPU(b.coll.Map("lost_events"), 0, func(n uint64) { r.LostEvents += n })
}

func (b *Balancer) serviceReport(v *vip) (ServiceReport, error) {
	s := ServiceReport{Service: v.Service.String()}
	err := perCPU(b.coll.Map("vip_counters"), v.number, func(c cVIPCounter) {
		s.add(Counter{c.Packets, c.Bytes})
		s.Opened += c.Opened
		s.Missed += c.Missed
		s.Flooded += c.Flooded
	})
	if err != nil {
		return s, err
	}
	for addr, n := range v.byAddr {
		be := BackendReport{Addr: addr}
		if err := perCPU(b.coll.Map("backend_counters"), n, be.add); err != nil {
			return s, err
		}
		s.Backends = append(s.Backends, be)
	}
	slices.SortFunc(s.Backends, func(x, y BackendReport) int { return x.Addr.Compare(y.Addr) })
	return s, nil
}

// An Event says what happened to a connection.
type Event struct {
	Kind    EventKind      `json:"event"`
	Time    uint64         `json:"time"` // nanoseconds
	Client  netip.AddrPort `json:"client"`
	Service Service        `json:"service"` // with the packet's port, also if the service has all
	Backend netip.Addr     `json:"backend"` // the zero Addr if there is none
	Len     uint32         `json:"bytes"`   // of the IP packet
}

func (e Event) String() string {
	to := "no backend"
	if e.Backend.IsValid() {
		to = e.Backend.String()
	}
	return fmt.Sprintf("%-10v %v to %v: %s, %d bytes", e.Kind, e.Client, e.Service, to, e.Len)
}

// Events calls yield for each event, until ctx ends or the balancer is closed.
// When ctx ends, events that are waiting are delivered first.
func (b *Balancer) Events(ctx context.Context, yield func(Event)) error {
	var rec maps.Record
	for {
		switch err := b.events.ReadInto(ctx, &rec); {
		case errors.Is(err, os.ErrClosed), err != nil && err == context.Cause(ctx):
			return nil
		case err != nil:
			return err
		}
		e, err := decode[cEvent](rec.Data)
		if err != nil {
			return err
		}
		b.mu.Lock()
		addr := b.backends[e.Backend].addr
		b.mu.Unlock()
		dst := addrPort(e.Flow.Dst, e.Flow.DstPort)
		yield(Event{
			Kind: e.Kind, Time: e.Time, Client: addrPort(e.Flow.Src, e.Flow.SrcPort),
			Service: Service{dst.Addr(), dst.Port(), e.Flow.Proto}, Backend: addr, Len: e.PacketLen,
		})
	}
}

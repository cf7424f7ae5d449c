package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/skepvm/skep/elf"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

//go:embed filter.o
var object []byte

// A Reason is why the filter passed, answered or dropped a packet: enum reason
// of filter.c.
type Reason uint32

const (
	Passed Reason = iota
	Answered
	Malformed
	Fragment
	BadFlags
	BadPrefix
	BadPort
	numReasons
)

var reasons = [numReasons]string{"passed", "answered", "malformed", "fragment", "bad flags", "bad prefix", "bad port"}

func (r Reason) String() string {
	if r < numReasons {
		return reasons[r]
	}
	return fmt.Sprintf("reason %d", uint32(r))
}

// A Counter is struct counter of filter.c.
type Counter struct{ Packets, Bytes uint64 }

// An Event says which packet was dropped, and why. It holds what the filter had
// read when it decided: no ports of a blocked prefix, no addresses of IPv6.
type Event struct {
	Src, Dst         netip.Addr
	SrcPort, DstPort uint16
	Proto            uint16
	Len              uint16
	Reason           Reason
}

func (e Event) String() string {
	return fmt.Sprintf("drop: %v: %v to %v, protocol %d, %d bytes",
		e.Reason, netip.AddrPortFrom(e.Src, e.SrcPort), netip.AddrPortFrom(e.Dst, e.DstPort), e.Proto, e.Len)
}

// A Firewall is the loaded filter. Its methods may be used from any number of
// goroutines.
type Firewall struct {
	coll   *vm.Collection
	prog   *vm.Program
	events *maps.RingBufReader
}

// New loads the filter.
func New() (*Firewall, error) {
	obj, err := elf.Load(bytes.NewReader(object), "filter.o", elf.Options{})
	if err != nil {
		return nil, err
	}
	coll, err := vm.Load(obj, vm.Options{})
	if err != nil {
		return nil, err
	}
	events, err := maps.NewRingBufReader(coll.Map("events"))
	if err != nil {
		coll.Close()
		return nil, err
	}
	return &Firewall{coll, coll.Program("firewall"), events}, nil
}

// Close ends the use of the firewall, its events included.
func (f *Firewall) Close() error {
	return errors.Join(f.events.Close(), f.coll.Close())
}

// Filter decides about a packet, which it may change, and returns the XDP
// verdict.
func (f *Firewall) Filter(p *vm.Packet) (uint64, error) { return f.prog.Run(p) }

// Block drops packets from p, an IPv4 prefix of 8, 16, 24 or 32 bits.
func (f *Firewall) Block(p netip.Prefix) error {
	switch bits := p.Bits(); {
	case !p.Addr().Is4(), bits != 8 && bits != 16 && bits != 24 && bits != 32:
		return fmt.Errorf("%v is no IPv4 prefix of 8, 16, 24 or 32 bits", p)
	}
	key := p.Masked().Addr().AsSlice() // struct prefix: network order, then the length
	key = binary.LittleEndian.AppendUint32(key, uint32(p.Bits()))
	return f.coll.Map("blocked_prefixes").Update(key, make([]byte, 8), maps.Any)
}

// ClosePort drops packets to port number of a protocol (6: TCP, 17: UDP).
func (f *Firewall) ClosePort(proto, number uint16) error {
	key := binary.LittleEndian.AppendUint16(nil, number) // struct port
	key = binary.LittleEndian.AppendUint16(key, proto)
	return f.coll.Map("blocked_ports").Update(key, make([]byte, 8), maps.Any)
}

// Counters returns what was counted for each Reason, on all CPUs together.
func (f *Firewall) Counters() ([]Counter, error) {
	m := f.coll.Map("counters")
	sums := make([]Counter, numReasons)
	value := make([]byte, m.Spec().HostValueSize())
	for reason := range sums {
		key := binary.LittleEndian.AppendUint32(nil, uint32(reason))
		if err := m.Lookup(key, value); err != nil {
			return nil, err
		}
		for v := value; len(v) >= 16; v = v[16:] { // struct counter of one CPU
			sums[reason].Packets += binary.LittleEndian.Uint64(v)
			sums[reason].Bytes += binary.LittleEndian.Uint64(v[8:])
		}
	}
	return sums, nil
}

// Events calls yield for each dropped packet, until ctx ends or the firewall is
// closed. When ctx ends, events that are waiting are delivered first.
func (f *Firewall) Events(ctx context.Context, yield func(Event)) error {
	var rec maps.Record
	for {
		switch err := f.events.ReadInto(ctx, &rec); {
		case errors.Is(err, os.ErrClosed), err != nil && err == context.Cause(ctx):
			return nil
		case err != nil:
			return err
		}
		b := rec.Data
		if len(b) != 20 {
			return fmt.Errorf("an event of %d bytes", len(b))
		}
		yield(Event{ // struct event
			Src: netip.AddrFrom4([4]byte(b[0:4])), Dst: netip.AddrFrom4([4]byte(b[4:8])),
			SrcPort: binary.LittleEndian.Uint16(b[8:]), DstPort: binary.LittleEndian.Uint16(b[10:]),
			Proto: binary.LittleEndian.Uint16(b[12:]), Len: binary.LittleEndian.Uint16(b[14:]),
			Reason: Reason(binary.LittleEndian.Uint32(b[16:])),
		})
	}
}

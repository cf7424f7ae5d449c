package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/skepvm/skep/maps"
)

// The structs of tables.h. Addresses and ports are in network order, all else
// in the host's.

// What tables.h calls MAX_VIPS, MAX_BACKENDS and RING_SIZE.
const (
	maxVIPs     = 512
	maxBackends = 4096
	ringSize    = 65537
)

type cFlow struct {
	Src, Dst         [16]byte
	SrcPort, DstPort [2]byte
	Proto            Protocol
	_                [3]byte
}

type cService struct {
	Addr  [16]byte
	Port  [2]byte
	Proto Protocol
	_     [5]byte
}

type cVIP struct{ Number, Flags uint32 }

// Flags of a VIP.
const (
	vipNoTable = 1 << iota
	vipNoPorts
)

type cBackend struct {
	Addr  [16]byte
	Flags uint32
	_     uint32
}

const backendUp = 1

type cConnection struct {
	Seen             uint64
	Backend, Closing uint32
}

type cVIPCounter struct {
	Packets, Bytes, Opened, Missed, Flooded uint64
}

type cEvent struct {
	Time                    uint64
	Flow                    cFlow
	Kind                    EventKind
	VIP, Backend, PacketLen uint32
}

// An Outcome is what became of a packet: enum outcome.
type Outcome uint32

const (
	Passed Outcome = iota
	Forwarded
	Answered
	TooBig
	CannotFit
	Malformed
	Options
	Fragment
	NoBackend
	NoRoom
	numOutcomes
)

var outcomes = [numOutcomes]string{"passed", "forwarded", "answered", "too big", "cannot fit", "malformed", "options", "fragment", "no backend", "no room"}

func (o Outcome) String() string { return nameOf(outcomes[:], uint32(o)) }

// An EventKind is enum event_kind.
type EventKind uint32

const (
	Opened EventKind = 1 + iota
	Closed
	BackendMissing
	PacketTooBig
	numEvents
)

var eventKinds = [numEvents]string{"none", "open", "close", "no backend", "too big"}

func (k EventKind) String() string { return nameOf(eventKinds[:], uint32(k)) }

// MarshalText returns the kind's name.
func (k EventKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

func nameOf(names []string, i uint32) string {
	if i < uint32(len(names)) {
		return names[i]
	}
	return fmt.Sprint(i)
}

// A Protocol is TCP or UDP.
type Protocol uint8

const (
	TCP Protocol = 6
	UDP Protocol = 17
)

func (p Protocol) String() string {
	switch p {
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	}
	return fmt.Sprintf("protocol %d", uint8(p))
}

// encode returns the bytes of x, one of the structs above or a number.
func encode(x any) []byte {
	b, err := binary.Append(nil, binary.LittleEndian, x)
	if err != nil {
		panic(fmt.Sprintf("BUG: %T has no fixed size", x))
	}
	return b
}

// decode reads one of the structs above.
func decode[T any](b []byte) (x T, err error) {
	n, err := binary.Decode(b, binary.LittleEndian, &x)
	if err == nil && n != len(b) {
		err = fmt.Errorf("%d bytes for a %T, which has %d", len(b), x, n)
	}
	return x, err
}

// port returns n in network order.
func port(n uint16) (b [2]byte) {
	binary.BigEndian.PutUint16(b[:], n)
	return b
}

func addrPort(addr [16]byte, port [2]byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(addr).Unmap(), binary.BigEndian.Uint16(port[:]))
}

// perCPU calls add for the value of each CPU at index of a per-CPU array.
func perCPU[T any](m maps.Map, index uint32, add func(T)) error {
	all := make([]byte, m.Spec().HostValueSize())
	if err := m.Lookup(encode(index), all); err != nil {
		return err
	}
	size := int(m.Spec().ValueSize) // a multiple of 8 in all of them
	for ; len(all) >= size; all = all[size:] {
		v, err := decode[T](all[:size])
		if err != nil {
			return err
		}
		add(v)
	}
	return nil
}

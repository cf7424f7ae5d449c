package bpftest

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

const (
	getPrandomU32 = 7
	skbStoreBytes = 9
	skbLoadBytes  = 26
	csumDiff      = 28
	xdpLoadBytes  = 189
	xdpStoreBytes = 190
)

// byteHelper calls a helper on bytes of the frame, of a size that is mostly known: one
// that copies them from or to the packet, or adds them up; or asks for a random
// number.
func (g *generator) byteHelper() {
	at, ok := g.area(16)
	if !ok {
		return
	}
	switch packet := g.o.Packet && g.f.rank == 0 && g.f.loops == 0; {
	case g.r.IntN(8) == 0:
		g.emit(helper(getPrandomU32))
		g.s.called(scalar)
	case packet && g.r.IntN(3) > 0:
		g.packetBytes(at)
	default:
		g.checksum(at)
	}
}

// packetBytes copies up to 16 bytes between the frame and the packet, which may end
// before.
func (g *generator) packetBytes(at int) {
	id := int32(skbLoadBytes)
	switch write := g.r.IntN(2) == 0; {
	case g.kind == "xdp" && write:
		id = xdpStoreBytes
	case g.kind == "xdp":
		id = xdpLoadBytes
	case write:
		id = skbStoreBytes
	}
	if src := g.source(); g.r.IntN(2) == 0 {
		if src != 2 {
			g.emit(move(2, src))
		}
		g.emit(aluImm(isa.ALU64, isa.And, 2, 127))
	} else {
		g.emit(moveImm(2, []int32{0, 14, 13, 60, 118, 1 << 16, -1, 1<<31 - 1}[g.r.IntN(8)]))
	}
	g.emit(move(1, 9), move(3, 10), addImm(3, int32(g.stackOff(at))), moveImm(4, 1+g.r.Int32N(16)), moveImm(5, g.r.Int32N(2)*g.r.Int32N(3)), helper(id))
	g.s.called(scalar)
	g.s.forget(value.inPacket)
}

// checksum takes bytes of the frame out of a checksum and puts others in.
func (g *generator) checksum(at int) {
	if src := g.source(); src != 5 {
		g.emit(move(5, src))
	}
	for _, r := range []prog.Reg{1, 3} {
		n := []int32{0, 4, 4, 8, 12, 16, 7}[g.r.IntN(7)]
		g.emit(move(r, 10), addImm(r, int32(g.stackOff(at))), moveImm(r+1, n))
	}
	g.emit(helper(csumDiff))
	g.s.called(scalar)
}

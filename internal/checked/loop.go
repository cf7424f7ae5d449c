package checked

import (
	"encoding/binary"
	"math/bits"

	"github.com/skepvm/skep/internal/isa"
)

// exec runs ops of m.code from pc on, until the frame that is current now
// returns or the run fails, which m.err says.
func (m *Machine) exec(pc int) {
	ops := m.code.ops
	reg := &m.reg
	win := &m.win
	n, stop := m.n, m.stop
	var at int // the op under way
	for {
		if n >= stop {
			m.n = n
			if !m.poll(pc) {
				at = pc
				break
			}
			stop = m.stop
		}
		at = pc
		o := &ops[pc]
		pc++
		n++
		switch o.code {
		case opMovK:
			reg[o.dst&15] = o.imm
		case opMovX:
			reg[o.dst&15] = reg[o.src&15]
		case opAddK:
			reg[o.dst&15] += o.imm
		case opAddX:
			reg[o.dst&15] += reg[o.src&15]
		case opSubX:
			reg[o.dst&15] -= reg[o.src&15]
		case opMulK:
			reg[o.dst&15] *= o.imm
		case opMulX:
			reg[o.dst&15] *= reg[o.src&15]
		case opAndK:
			reg[o.dst&15] &= o.imm
		case opAndX:
			reg[o.dst&15] &= reg[o.src&15]
		case opOrK:
			reg[o.dst&15] |= o.imm
		case opOrX:
			reg[o.dst&15] |= reg[o.src&15]
		case opXorK:
			reg[o.dst&15] ^= o.imm
		case opXorX:
			reg[o.dst&15] ^= reg[o.src&15]
		case opLshK:
			reg[o.dst&15] <<= o.imm & 63
		case opLshX:
			reg[o.dst&15] <<= reg[o.src&15] & 63
		case opRshK:
			reg[o.dst&15] >>= o.imm & 63
		case opRshX:
			reg[o.dst&15] >>= reg[o.src&15] & 63
		case opArshK:
			reg[o.dst&15] = uint64(int64(reg[o.dst&15]) >> (o.imm & 63))
		case opArshX:
			reg[o.dst&15] = uint64(int64(reg[o.dst&15]) >> (reg[o.src&15] & 63))
		case opALU64K:
			reg[o.dst&15] = isa.Compute64(isa.ALUOp(o.sub), int16(o.off), reg[o.dst&15], o.imm)
		case opALU64X:
			reg[o.dst&15] = isa.Compute64(isa.ALUOp(o.sub), int16(o.off), reg[o.dst&15], reg[o.src&15])

		case opMov32K:
			reg[o.dst&15] = uint64(uint32(o.imm))
		case opMov32X:
			reg[o.dst&15] = uint64(uint32(reg[o.src&15]))
		case opAdd32K:
			reg[o.dst&15] = uint64(uint32(reg[o.dst&15]) + uint32(o.imm))
		case opAdd32X:
			reg[o.dst&15] = uint64(uint32(reg[o.dst&15]) + uint32(reg[o.src&15]))
		case opSub32X:
			reg[o.dst&15] = uint64(uint32(reg[o.dst&15]) - uint32(reg[o.src&15]))
		case opMul32K:
			reg[o.dst&15] = uint64(uint32(reg[o.dst&15]) * uint32(o.imm))
		case opMul32X:
			reg[o.dst&15] = uint64(uint32(reg[o.dst&15]) * uint32(reg[o.src&15]))
		case opAnd32K:
			reg[o.dst&15] = uint64(uint32(reg[o.dst&15]) & uint32(o.imm))
		case opAnd32X:
			reg[o.dst&15] = uint64(uint32(reg[o.dst&15]) & uint32(reg[o.src&15]))
		case opOr32K:
			reg[o.dst&15] = uint64(uint32(reg[o.dst&15]) | uint32(o.imm))
		case opOr32X:
			reg[o.dst&15] = uint64(uint32(reg[o.dst&15]) | uint32(reg[o.src&15]))
		case opXor32K:
			reg[o.dst&15] = uint64(uint32(reg[o.dst&15]) ^ uint32(o.imm))
		case opXor32X:
			reg[o.dst&15] = uint64(uint32(reg[o.dst&15]) ^ uint32(reg[o.src&15]))
		case opLsh32K:
			reg[o.dst&15] = uint64(uint32(reg[o.dst&15]) << (o.imm & 31))
		case opLsh32X:
			reg[o.dst&15] = uint64(uint32(reg[o.dst&15]) << (reg[o.src&15] & 31))
		case opRsh32K:
			reg[o.dst&15] = uint64(uint32(reg[o.dst&15]) >> (o.imm & 31))
		case opRsh32X:
			reg[o.dst&15] = uint64(uint32(reg[o.dst&15]) >> (reg[o.src&15] & 31))
		case opArsh32K:
			reg[o.dst&15] = uint64(uint32(int32(reg[o.dst&15]) >> (o.imm & 31)))
		case opArsh32X:
			reg[o.dst&15] = uint64(uint32(int32(reg[o.dst&15]) >> (reg[o.src&15] & 31)))
		case opALU32K:
			reg[o.dst&15] = isa.Compute32(isa.ALUOp(o.sub), int16(o.off), uint32(reg[o.dst&15]), uint32(o.imm))
		case opALU32X:
			reg[o.dst&15] = isa.Compute32(isa.ALUOp(o.sub), int16(o.off), uint32(reg[o.dst&15]), uint32(reg[o.src&15]))
		case opSwap:
			reg[o.dst&15] = isa.Swap(isa.Op(o.sub), int32(o.imm), reg[o.dst&15])

		case opJA:
			pc = int(o.off)
		case opJEqK:
			if reg[o.dst&15] == o.imm {
				pc = int(o.off)
			}
		case opJEqX:
			if reg[o.dst&15] == reg[o.src&15] {
				pc = int(o.off)
			}
		case opJNeK:
			if reg[o.dst&15] != o.imm {
				pc = int(o.off)
			}
		case opJNeX:
			if reg[o.dst&15] != reg[o.src&15] {
				pc = int(o.off)
			}
		case opJGtK:
			if reg[o.dst&15] > o.imm {
				pc = int(o.off)
			}
		case opJGtX:
			if reg[o.dst&15] > reg[o.src&15] {
				pc = int(o.off)
			}
		case opJGeK:
			if reg[o.dst&15] >= o.imm {
				pc = int(o.off)
			}
		case opJGeX:
			if reg[o.dst&15] >= reg[o.src&15] {
				pc = int(o.off)
			}
		case opJLtK:
			if reg[o.dst&15] < o.imm {
				pc = int(o.off)
			}
		case opJLtX:
			if reg[o.dst&15] < reg[o.src&15] {
				pc = int(o.off)
			}
		case opJLeK:
			if reg[o.dst&15] <= o.imm {
				pc = int(o.off)
			}
		case opJLeX:
			if reg[o.dst&15] <= reg[o.src&15] {
				pc = int(o.off)
			}
		case opJSGtK:
			if int64(reg[o.dst&15]) > int64(o.imm) {
				pc = int(o.off)
			}
		case opJSGtX:
			if int64(reg[o.dst&15]) > int64(reg[o.src&15]) {
				pc = int(o.off)
			}
		case opJSGeK:
			if int64(reg[o.dst&15]) >= int64(o.imm) {
				pc = int(o.off)
			}
		case opJSGeX:
			if int64(reg[o.dst&15]) >= int64(reg[o.src&15]) {
				pc = int(o.off)
			}
		case opJSLtK:
			if int64(reg[o.dst&15]) < int64(o.imm) {
				pc = int(o.off)
			}
		case opJSLtX:
			if int64(reg[o.dst&15]) < int64(reg[o.src&15]) {
				pc = int(o.off)
			}
		case opJSLeK:
			if int64(reg[o.dst&15]) <= int64(o.imm) {
				pc = int(o.off)
			}
		case opJSLeX:
			if int64(reg[o.dst&15]) <= int64(reg[o.src&15]) {
				pc = int(o.off)
			}
		case opJSetK:
			if reg[o.dst&15]&o.imm != 0 {
				pc = int(o.off)
			}
		case opJSetX:
			if reg[o.dst&15]&reg[o.src&15] != 0 {
				pc = int(o.off)
			}
		case opJEq32K:
			if uint32(reg[o.dst&15]) == uint32(o.imm) {
				pc = int(o.off)
			}
		case opJNe32K:
			if uint32(reg[o.dst&15]) != uint32(o.imm) {
				pc = int(o.off)
			}
		case opJmp32K:
			if isa.Jump32(isa.JmpOp(o.sub), uint32(reg[o.dst&15]), uint32(o.imm)) {
				pc = int(o.off)
			}
		case opJmp32X:
			if isa.Jump32(isa.JmpOp(o.sub), uint32(reg[o.dst&15]), uint32(reg[o.src&15])) {
				pc = int(o.off)
			}
		case opMayGoto:
			if m.loops == 0 {
				pc = int(o.off)
			} else {
				m.loops--
			}

		case opLd1:
			addr := reg[o.src&15] + uint64(int64(o.off))
			v, ok := win[o.src&7].Load1(addr)
			if !ok {
				if v, ok = m.load(addr, 1, o.src, false); !ok {
					goto failed
				}
			}
			reg[o.dst&15] = v
		case opLd2:
			addr := reg[o.src&15] + uint64(int64(o.off))
			v, ok := win[o.src&7].Load2(addr)
			if !ok {
				if v, ok = m.load(addr, 2, o.src, false); !ok {
					goto failed
				}
			}
			reg[o.dst&15] = v
		case opLd4:
			addr := reg[o.src&15] + uint64(int64(o.off))
			v, ok := win[o.src&7].Load4(addr)
			if !ok {
				if v, ok = m.load(addr, 4, o.src, false); !ok {
					goto failed
				}
			}
			reg[o.dst&15] = v
		case opLd8:
			addr := reg[o.src&15] + uint64(int64(o.off))
			v, ok := win[o.src&7].Load8(addr)
			if !ok {
				if v, ok = m.load(addr, 8, o.src, false); !ok {
					goto failed
				}
			}
			reg[o.dst&15] = v
		case opLdSX1:
			v, ok := m.load(reg[o.src&15]+uint64(int64(o.off)), 1, o.src, true)
			if !ok {
				goto failed
			}
			reg[o.dst&15] = uint64(int8(v))
		case opLdSX2:
			v, ok := m.load(reg[o.src&15]+uint64(int64(o.off)), 2, o.src, true)
			if !ok {
				goto failed
			}
			reg[o.dst&15] = uint64(int16(v))
		case opLdSX4:
			v, ok := m.load(reg[o.src&15]+uint64(int64(o.off)), 4, o.src, true)
			if !ok {
				goto failed
			}
			reg[o.dst&15] = uint64(int32(v))

		case opSt1:
			addr := reg[o.dst&15] + uint64(int64(o.off))
			if !win[o.dst&7].Store1(addr, reg[o.src&15]) && !m.store(addr, reg[o.src&15], 1, o.dst) {
				goto failed
			}
		case opSt2:
			addr := reg[o.dst&15] + uint64(int64(o.off))
			if !win[o.dst&7].Store2(addr, reg[o.src&15]) && !m.store(addr, reg[o.src&15], 2, o.dst) {
				goto failed
			}
		case opSt4:
			addr := reg[o.dst&15] + uint64(int64(o.off))
			if !win[o.dst&7].Store4(addr, reg[o.src&15]) && !m.store(addr, reg[o.src&15], 4, o.dst) {
				goto failed
			}
		case opSt8:
			addr := reg[o.dst&15] + uint64(int64(o.off))
			if !win[o.dst&7].Store8(addr, reg[o.src&15]) && !m.store(addr, reg[o.src&15], 8, o.dst) {
				goto failed
			}
		case opStK1:
			if !m.store(reg[o.dst&15]+uint64(int64(o.off)), o.imm, 1, o.dst) {
				goto failed
			}
		case opStK2:
			if !m.store(reg[o.dst&15]+uint64(int64(o.off)), o.imm, 2, o.dst) {
				goto failed
			}
		case opStK4:
			if !m.store(reg[o.dst&15]+uint64(int64(o.off)), o.imm, 4, o.dst) {
				goto failed
			}
		case opStK8:
			if !m.store(reg[o.dst&15]+uint64(int64(o.off)), o.imm, 8, o.dst) {
				goto failed
			}

		case opStackLd1:
			at := m.fp + int(o.off)
			if m.init[at>>6]&o.imm != o.imm {
				m.deny("load", reg[10]+uint64(int64(o.off)), 1, reasonUninit)
				goto failed
			}
			reg[o.dst&15] = uint64(m.stack[at])
		case opStackLd2:
			at := m.fp + int(o.off)
			if m.init[at>>6]&o.imm != o.imm {
				m.deny("load", reg[10]+uint64(int64(o.off)), 2, reasonUninit)
				goto failed
			}
			reg[o.dst&15] = uint64(binary.LittleEndian.Uint16(m.stack[at:]))
		case opStackLd4:
			at := m.fp + int(o.off)
			if m.init[at>>6]&o.imm != o.imm {
				m.deny("load", reg[10]+uint64(int64(o.off)), 4, reasonUninit)
				goto failed
			}
			reg[o.dst&15] = uint64(binary.LittleEndian.Uint32(m.stack[at:]))
		case opStackLd8:
			at := m.fp + int(o.off)
			if m.init[at>>6]&o.imm != o.imm {
				m.deny("load", reg[10]+uint64(int64(o.off)), 8, reasonUninit)
				goto failed
			}
			reg[o.dst&15] = binary.LittleEndian.Uint64(m.stack[at:])
		case opStackSt1:
			at := m.fp + int(o.off)
			m.init[at>>6] |= o.imm
			m.stack[at] = byte(reg[o.src&15])
		case opStackSt2:
			at := m.fp + int(o.off)
			m.init[at>>6] |= o.imm
			binary.LittleEndian.PutUint16(m.stack[at:], uint16(reg[o.src&15]))
		case opStackSt4:
			at := m.fp + int(o.off)
			m.init[at>>6] |= o.imm
			binary.LittleEndian.PutUint32(m.stack[at:], uint32(reg[o.src&15]))
		case opStackSt8:
			at := m.fp + int(o.off)
			m.init[at>>6] |= o.imm
			binary.LittleEndian.PutUint64(m.stack[at:], reg[o.src&15])

		case opAtomic:
			if !m.atomic(o) {
				goto failed
			}
		case opPacket:
			if reg[6] != m.ctxBase {
				m.why = fault{reason: "legacy packet load: R6 is not the context"}
				goto failed
			}
			if m.packetLoad(o) {
				break
			}
			reg[0] = 0 // as in the kernel: an exit of the function
			m.live |= bit(0)
			fallthrough
		case opExit:
			if m.depth == 0 {
				m.n = n
				return
			}
			ret := m.pop()
			if ret < 0 {
				m.n = n
				return
			}
			ops, pc = m.code.ops, int(ret)

		case opCall:
			if !m.push(int32(pc)) {
				goto failed
			}
			pc = int(o.off)
		case opCallX:
			m.n = n
			next, ok := m.callRegister(reg[o.dst&15], pc)
			if n, stop = m.n, m.stop; !ok {
				goto failed
			}
			pc = next
		case opHelper:
			m.n = n
			c := &m.code.calls[o.imm]
			ok := m.checkArgs(c) && m.helper(c)
			if n, stop = m.n, m.stop; !ok {
				goto failed
			}
		case opTailCall:
			m.n = n
			if !m.checkArgs(&m.code.calls[o.imm]) {
				goto failed
			}
			if m.tailCall() {
				ops, pc = m.code.ops, 0
			}
		case opThrow:
			m.n = n
			if !m.checkArgs(&m.code.calls[o.imm]) {
				goto failed
			}
			ret, ok := m.throw(reg[1])
			if !ok {
				goto failed
			}
			if ret < 0 {
				return
			}
			ops, pc = m.code.ops, int(ret)
		case opNeed:
			n--
			if need := regs(o.imm); m.live&need != need {
				m.why = fault{reason: uninitRegister(need &^ m.live)}
				goto failed
			}
		case opLive:
			n--
			m.live = m.live&^regs(o.off) | regs(o.imm)

		default:
			panic("BUG: no such op")
		}
		continue
	failed:
		break
	}
	m.n = n
	m.fail(at)
}

func uninitRegister(r regs) string {
	return "R" + string(rune('0'+bits.TrailingZeros16(uint16(r)))) + " is read before anything was written to it"
}

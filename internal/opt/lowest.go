package opt

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// lowest matches, at its last instruction, what compilers make of finding the lowest
// bit that is set, by a table (Leiserson, Prokop and Randall, Using de Bruijn
// Sequences to Index a 1 in a Computer Word, 1998):
//
//	i = x & -x; i *= a sequence; i >>= all bits but those of an index; p = table; p += i; d = *p
//
// at 32 and 64 bits, or at 64 with a mask before the shift, for 32.
//
// Sound: as count. The table is frozen, so it holds what its contents say, and has
// the number of each bit where the sequence leads to, and 0 for no bit.
func (m *matcher) lowest(in *prog.Insn) bool {
	if in.Op.Mode() != isa.MEM || in.Op.Size().Bytes() != 1 || in.Off != 0 || m.at < 8 {
		return false
	}
	pcs := [...]prog.PC{m.at - 4, m.at - 3, m.at - 1} // shift, table, address
	shift, table, add := &m.Insns[pcs[0]], &m.Insns[pcs[1]], &m.Insns[pcs[2]]
	if add.Op != alu64|isa.Op(isa.Add)|isa.Op(isa.X) || !table.IsWide() || table.Src != isa.PseudoMapValue ||
		add.Dst != in.Src || table.Dst != add.Dst || shift.Dst != add.Src || add.Src == add.Dst {
		return false
	}
	wide := shift.Op.Class() == isa.ALU64
	if shift.Op&^7 != isa.Op(isa.Rsh) || !wide && shift.Op != alu|isa.Op(isa.Rsh) || shift.Imm != 27 && (shift.Imm != 58 || !wide) {
		return false
	}
	if m.Info[m.at].Target || m.Info[pcs[2]].Target || m.Info[pcs[1]].Target ||
		in.Src != in.Dst && m.lives(in.Src) || !m.findsBits(table.Imm, m.Insns[pcs[1]+1].Imm, shift.Imm == 58) {
		return false
	}
	c := count{wide: wide, fixed: m.fixedOf()}
	m.line(&c, pcs[0])
	x, ok := c.lowest(c.n-1, shift.Imm)
	if !ok {
		return false
	}
	first := 0
	for c.used>>first&1 == 0 {
		first++
	}
	if x >= first || !m.onlyCounts(&c, first, in.Dst) {
		return false
	}
	for _, pc := range pcs[1:] {
		if k := m.Info[pc].Idiom.Kind; k != NoIdiom && k != Sum || m.Info[pc].Load != 0 {
			return false
		}
	}
	src, ok := m.holder(&c, first, x)
	if !ok {
		return false
	}
	for k := first; k < c.n; k++ {
		i := &m.Info[c.values[k].pc]
		i.Merged, i.Idiom = true, Idiom{}
	}
	for _, pc := range pcs[1:] {
		i := &m.Info[pc]
		i.Merged, i.Idiom = true, Idiom{}
	}
	m.Info[m.at].Idiom = Idiom{Kind: Lowest, Wide: shift.Imm == 58, Dst: in.Dst, Src: src, To: c.values[first].pc}
	return true
}

// The sequences that compilers take.
const (
	deBruijn32 = 0x077cb531
	deBruijn64 = 0x0218a392cd3d5dbf
)

// lowest returns what value v, which is shifted right by n, is the index of the lowest
// set bit of.
func (c *count) lowest(v int, n int32) (x int, ok bool) {
	sequence := uint64(deBruijn32)
	if n == 58 {
		sequence = deBruijn64
	}
	if v, ok = c.by(v, isa.Rsh, uint64(n)); !ok {
		return 0, false
	}
	if c.wide && n == 27 {
		if v, ok = c.by(v, isa.And, 0xf8000000); !ok {
			return 0, false
		}
	}
	if v, ok = c.by(v, isa.Mul, sequence); !ok {
		return 0, false
	}
	a, b, ok := c.pair(v, isa.And)
	if !ok {
		return 0, false
	}
	before := c.used
	if x, _, ok = c.operation(b, isa.Neg); ok && x == a {
		return x, true
	}
	c.used = before
	x, _, ok = c.operation(a, isa.Neg)
	return x, ok && x == b
}

// findsBits reports whether the map with the given index never changes, and has the
// numbers of bits, of 64 if wide, at offset off.
func (m *matcher) findsBits(index, off int32, wide bool) bool {
	if index < 0 || int(index) >= len(m.Maps) || off < 0 {
		return false
	}
	s := m.Maps[index]
	if !s.Frozen || s.Flags&maps.ReadOnlyProg == 0 || s.Type != maps.Array || s.MaxEntries != 1 || len(s.Contents) != 1 {
		return false
	}
	value, n := s.Contents[0].Value, 32
	if wide {
		n = 64
	}
	if int64(off)+int64(n) > int64(len(value)) {
		return false
	}
	value = value[off:]
	for k := range n {
		at := uint64(uint32(deBruijn32)<<k) >> 27
		if wide {
			at = uint64(deBruijn64) << k >> 58
		}
		if int(value[at]) != k {
			return false
		}
	}
	return value[0] == 0
}

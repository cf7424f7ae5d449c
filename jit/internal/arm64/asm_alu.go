package arm64

// Arithmetic and logic on registers and immediates.

// addImm appends an additive instruction with an immediate, for which IsAddImm
// holds.
func (a *Asm) addImm(op uint32, d, n Reg, imm uint32) {
	if imm >= 1<<12 {
		if imm >= 1<<24 || imm&0xfff != 0 {
			must(false, "an additive immediate", imm)
		}
		imm = imm>>12 | 1<<12
	}
	a.insn(op | imm<<10 | n.n()<<5 | d.n())
}

// shifted appends an instruction whose last register is shifted by less than
// the width.
func (a *Asm) shifted(op uint32, w Width, d, n, m Reg, s Shift, amount uint) {
	if amount >= uint(w.Bits()) {
		must(false, "a shift", amount)
	}
	a.rrr(op|w.sf()|uint32(s)<<22|uint32(amount)<<10, d, n, m)
}

// extended appends an additive instruction whose last register is extended and
// then shifted left by at most 4.
func (a *Asm) extended(op uint32, w Width, d, n, m Reg, e Extend, amount uint) {
	if amount > 4 {
		must(false, "an extended register", amount)
	}
	a.rrr(op|w.sf()|uint32(e)<<13|uint32(amount)<<10, d, n, m)
}

// Add emits ADD d, n, m: d = n + m (Arm ARM, ADD (shifted register)).
func (a *Asm) Add(w Width, d, n, m Reg) { a.rrr(0x0b000000|w.sf(), d, n, m) }

// AddShifted emits ADD d, n, m, s #amount; s is not ROR.
func (a *Asm) AddShifted(w Width, d, n, m Reg, s Shift, amount uint) {
	a.shifted(0x0b000000, w, d, n, m, s, amount)
}

// AddExt emits ADD d, n, m, e #amount; d and n may be SP, ZR not (ADD (extended register)).
func (a *Asm) AddExt(w Width, d, n, m Reg, e Extend, amount uint) {
	a.extended(0x0b200000, w, d, n, m, e, amount)
}

// AddI emits ADD d, n, #imm, where IsAddImm(imm); d and n may be SP, ZR not (ADD (immediate)).
func (a *Asm) AddI(w Width, d, n Reg, imm uint32) { a.addImm(0x11000000|w.sf(), d, n, imm) }

// Adds emits ADDS d, n, m: d = n + m and sets the flags (Arm ARM, ADDS (shifted register)).
func (a *Asm) Adds(w Width, d, n, m Reg) { a.rrr(0x2b000000|w.sf(), d, n, m) }

// AddsShifted emits ADDS d, n, m, s #amount; s is not ROR.
func (a *Asm) AddsShifted(w Width, d, n, m Reg, s Shift, amount uint) {
	a.shifted(0x2b000000, w, d, n, m, s, amount)
}

// AddsExt emits ADDS d, n, m, e #amount; n may be SP, ZR not (ADDS (extended register)).
func (a *Asm) AddsExt(w Width, d, n, m Reg, e Extend, amount uint) {
	a.extended(0x2b200000, w, d, n, m, e, amount)
}

// AddsI emits ADDS d, n, #imm, where IsAddImm(imm); n may be SP, ZR not (ADDS (immediate)).
func (a *Asm) AddsI(w Width, d, n Reg, imm uint32) { a.addImm(0x31000000|w.sf(), d, n, imm) }

// Sub emits SUB d, n, m: d = n - m (Arm ARM, SUB (shifted register)).
func (a *Asm) Sub(w Width, d, n, m Reg) { a.rrr(0x4b000000|w.sf(), d, n, m) }

// SubShifted emits SUB d, n, m, s #amount; s is not ROR.
func (a *Asm) SubShifted(w Width, d, n, m Reg, s Shift, amount uint) {
	a.shifted(0x4b000000, w, d, n, m, s, amount)
}

// SubExt emits SUB d, n, m, e #amount; d and n may be SP, ZR not (SUB (extended register)).
func (a *Asm) SubExt(w Width, d, n, m Reg, e Extend, amount uint) {
	a.extended(0x4b200000, w, d, n, m, e, amount)
}

// SubI emits SUB d, n, #imm, where IsAddImm(imm); d and n may be SP, ZR not (SUB (immediate)).
func (a *Asm) SubI(w Width, d, n Reg, imm uint32) { a.addImm(0x51000000|w.sf(), d, n, imm) }

// Subs emits SUBS d, n, m: d = n - m and sets the flags (Arm ARM, SUBS (shifted register)).
func (a *Asm) Subs(w Width, d, n, m Reg) { a.rrr(0x6b000000|w.sf(), d, n, m) }

// SubsShifted emits SUBS d, n, m, s #amount; s is not ROR.
func (a *Asm) SubsShifted(w Width, d, n, m Reg, s Shift, amount uint) {
	a.shifted(0x6b000000, w, d, n, m, s, amount)
}

// SubsExt emits SUBS d, n, m, e #amount; n may be SP, ZR not (SUBS (extended register)).
func (a *Asm) SubsExt(w Width, d, n, m Reg, e Extend, amount uint) {
	a.extended(0x6b200000, w, d, n, m, e, amount)
}

// SubsI emits SUBS d, n, #imm, where IsAddImm(imm); n may be SP, ZR not (SUBS (immediate)).
func (a *Asm) SubsI(w Width, d, n Reg, imm uint32) { a.addImm(0x71000000|w.sf(), d, n, imm) }

// Cmp emits CMP n, m: the flags of n - m.
func (a *Asm) Cmp(w Width, n, m Reg) { a.Subs(w, ZR, n, m) }

// CmpShifted emits CMP n, m, s #amount.
func (a *Asm) CmpShifted(w Width, n, m Reg, s Shift, amount uint) {
	a.SubsShifted(w, ZR, n, m, s, amount)
}

// CmpExt emits CMP n, m, e #amount.
func (a *Asm) CmpExt(w Width, n, m Reg, e Extend, amount uint) { a.SubsExt(w, ZR, n, m, e, amount) }

// CmpI emits CMP n, #imm, where IsAddImm(imm).
func (a *Asm) CmpI(w Width, n Reg, imm uint32) { a.SubsI(w, ZR, n, imm) }

// Cmn emits CMN n, m: the flags of n + m.
func (a *Asm) Cmn(w Width, n, m Reg) { a.Adds(w, ZR, n, m) }

// CmnI emits CMN n, #imm, where IsAddImm(imm): compares n with -imm.
func (a *Asm) CmnI(w Width, n Reg, imm uint32) { a.AddsI(w, ZR, n, imm) }

// Neg emits NEG d, m: d = -m.
func (a *Asm) Neg(w Width, d, m Reg) { a.Sub(w, d, ZR, m) }

// Adc emits ADC d, n, m: d = n + m + carry.
func (a *Asm) Adc(w Width, d, n, m Reg) { a.rrr(0x1a000000|w.sf(), d, n, m) }

// Sbc emits SBC d, n, m: d = n - m - 1 + carry.
func (a *Asm) Sbc(w Width, d, n, m Reg) { a.rrr(0x5a000000|w.sf(), d, n, m) }

// And emits AND d, n, m: d = n & m (Arm ARM, AND (shifted register)).
func (a *Asm) And(w Width, d, n, m Reg) { a.rrr(0x0a000000|w.sf(), d, n, m) }

// AndShifted emits AND d, n, m, s #amount.
func (a *Asm) AndShifted(w Width, d, n, m Reg, s Shift, amount uint) {
	a.shifted(0x0a000000, w, d, n, m, s, amount)
}

// AndI emits AND d, n, #imm, where BitMask(w, imm); d may be SP (AND (immediate)).
func (a *Asm) AndI(w Width, d, n Reg, imm uint64) { a.logicalImm(0x12000000, w, d, n, imm) }

// Bic emits BIC d, n, m: d = n & ^m (Arm ARM, BIC (shifted register)).
func (a *Asm) Bic(w Width, d, n, m Reg) { a.rrr(0x0a200000|w.sf(), d, n, m) }

// BicShifted emits BIC d, n, m, s #amount.
func (a *Asm) BicShifted(w Width, d, n, m Reg, s Shift, amount uint) {
	a.shifted(0x0a200000, w, d, n, m, s, amount)
}

// Orr emits ORR d, n, m: d = n | m (Arm ARM, ORR (shifted register)).
func (a *Asm) Orr(w Width, d, n, m Reg) { a.rrr(0x2a000000|w.sf(), d, n, m) }

// OrrShifted emits ORR d, n, m, s #amount.
func (a *Asm) OrrShifted(w Width, d, n, m Reg, s Shift, amount uint) {
	a.shifted(0x2a000000, w, d, n, m, s, amount)
}

// OrrI emits ORR d, n, #imm, where BitMask(w, imm); d may be SP (ORR (immediate)).
func (a *Asm) OrrI(w Width, d, n Reg, imm uint64) { a.logicalImm(0x32000000, w, d, n, imm) }

// Orn emits ORN d, n, m: d = n | ^m (Arm ARM, ORN (shifted register)).
func (a *Asm) Orn(w Width, d, n, m Reg) { a.rrr(0x2a200000|w.sf(), d, n, m) }

// OrnShifted emits ORN d, n, m, s #amount.
func (a *Asm) OrnShifted(w Width, d, n, m Reg, s Shift, amount uint) {
	a.shifted(0x2a200000, w, d, n, m, s, amount)
}

// Eor emits EOR d, n, m: d = n ^ m (Arm ARM, EOR (shifted register)).
func (a *Asm) Eor(w Width, d, n, m Reg) { a.rrr(0x4a000000|w.sf(), d, n, m) }

// EorShifted emits EOR d, n, m, s #amount.
func (a *Asm) EorShifted(w Width, d, n, m Reg, s Shift, amount uint) {
	a.shifted(0x4a000000, w, d, n, m, s, amount)
}

// EorI emits EOR d, n, #imm, where BitMask(w, imm); d may be SP (EOR (immediate)).
func (a *Asm) EorI(w Width, d, n Reg, imm uint64) { a.logicalImm(0x52000000, w, d, n, imm) }

// Eon emits EON d, n, m: d = n ^ ^m (Arm ARM, EON (shifted register)).
func (a *Asm) Eon(w Width, d, n, m Reg) { a.rrr(0x4a200000|w.sf(), d, n, m) }

// EonShifted emits EON d, n, m, s #amount.
func (a *Asm) EonShifted(w Width, d, n, m Reg, s Shift, amount uint) {
	a.shifted(0x4a200000, w, d, n, m, s, amount)
}

// Ands emits ANDS d, n, m: d = n & m, setting the flags (Arm ARM, ANDS (shifted register)).
func (a *Asm) Ands(w Width, d, n, m Reg) { a.rrr(0x6a000000|w.sf(), d, n, m) }

// AndsShifted emits ANDS d, n, m, s #amount.
func (a *Asm) AndsShifted(w Width, d, n, m Reg, s Shift, amount uint) {
	a.shifted(0x6a000000, w, d, n, m, s, amount)
}

// AndsI emits ANDS d, n, #imm, where BitMask(w, imm) (ANDS (immediate)).
func (a *Asm) AndsI(w Width, d, n Reg, imm uint64) { a.logicalImm(0x72000000, w, d, n, imm) }

// Bics emits BICS d, n, m: d = n & ^m, setting the flags (Arm ARM, BICS (shifted register)).
func (a *Asm) Bics(w Width, d, n, m Reg) { a.rrr(0x6a200000|w.sf(), d, n, m) }

// BicsShifted emits BICS d, n, m, s #amount.
func (a *Asm) BicsShifted(w Width, d, n, m Reg, s Shift, amount uint) {
	a.shifted(0x6a200000, w, d, n, m, s, amount)
}

func (a *Asm) logicalImm(op uint32, w Width, d, n Reg, imm uint64) {
	enc, ok := BitMask(w, imm)
	if !ok {
		must(false, "a logical immediate", imm)
	}
	a.insn(op | w.sf() | enc | n.n()<<5 | d.n())
}

// Tst emits TST n, m: the flags of n & m.
func (a *Asm) Tst(w Width, n, m Reg) { a.Ands(w, ZR, n, m) }

// TstI emits TST n, #imm, where BitMask(w, imm).
func (a *Asm) TstI(w Width, n Reg, imm uint64) { a.AndsI(w, ZR, n, imm) }

// Mvn emits MVN d, m: d = ^m.
func (a *Asm) Mvn(w Width, d, m Reg) { a.Orn(w, d, ZR, m) }

// Mov emits MOV d, m (Arm ARM, MOV (register)); neither is SP.
func (a *Asm) Mov(w Width, d, m Reg) { a.Orr(w, d, ZR, m) }

// Movn emits MOVN d, #imm, LSL #16*part: d = ^(imm << 16*part); part is less
// than 2 at W32 and than 4 at W64.
func (a *Asm) Movn(w Width, d Reg, imm uint16, part uint) {
	a.insn(0x12800000 | w.sf() | uint32(part)<<21 | uint32(imm)<<5 | d.n())
}

// Movz emits MOVZ d, #imm, LSL #16*part: d = imm << 16*part; part is less
// than 2 at W32 and than 4 at W64.
func (a *Asm) Movz(w Width, d Reg, imm uint16, part uint) {
	a.insn(0x52800000 | w.sf() | uint32(part)<<21 | uint32(imm)<<5 | d.n())
}

// Movk emits MOVK d, #imm, LSL #16*part: the part of d = imm; part is less
// than 2 at W32 and than 4 at W64.
func (a *Asm) Movk(w Width, d Reg, imm uint16, part uint) {
	a.insn(0x72800000 | w.sf() | uint32(part)<<21 | uint32(imm)<<5 | d.n())
}

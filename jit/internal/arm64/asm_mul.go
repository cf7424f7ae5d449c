package arm64

// Multiplication and division.

// Madd emits MADD d, n, m, x: d = x + n*m.
func (a *Asm) Madd(w Width, d, n, m, x Reg) { a.rrr(0x1b000000|w.sf()|x.n()<<10, d, n, m) }

// Msub emits MSUB d, n, m, x: d = x - n*m.
func (a *Asm) Msub(w Width, d, n, m, x Reg) { a.rrr(0x1b008000|w.sf()|x.n()<<10, d, n, m) }

// Mul emits MUL d, n, m: d = n * m.
func (a *Asm) Mul(w Width, d, n, m Reg) { a.Madd(w, d, n, m, ZR) }

// Mneg emits MNEG d, n, m: d = -(n * m).
func (a *Asm) Mneg(w Width, d, n, m Reg) { a.Msub(w, d, n, m, ZR) }

// Smaddl emits SMADDL d, n, m, x: d = x + n*m, the low halves of n and m, signed.
func (a *Asm) Smaddl(d, n, m, x Reg) { a.rrr(0x9b200000|x.n()<<10, d, n, m) }

// Umaddl emits UMADDL d, n, m, x: d = x + n*m, the low halves of n and m, unsigned.
func (a *Asm) Umaddl(d, n, m, x Reg) { a.rrr(0x9ba00000|x.n()<<10, d, n, m) }

// Smull emits SMULL d, n, m: d = n * m, of their low halves, signed.
func (a *Asm) Smull(d, n, m Reg) { a.Smaddl(d, n, m, ZR) }

// Umull emits UMULL d, n, m: d = n * m, of their low halves, unsigned.
func (a *Asm) Umull(d, n, m Reg) { a.Umaddl(d, n, m, ZR) }

// Smulh emits SMULH d, n, m: d = the upper half of n * m, signed.
func (a *Asm) Smulh(d, n, m Reg) { a.rrr(0x9b407c00, d, n, m) }

// Umulh emits UMULH d, n, m: d = the upper half of n * m, unsigned.
func (a *Asm) Umulh(d, n, m Reg) { a.rrr(0x9bc07c00, d, n, m) }

// Udiv emits UDIV d, n, m: d = n / m, unsigned; 0 if m is 0.
func (a *Asm) Udiv(w Width, d, n, m Reg) { a.rrr(0x1ac00800|w.sf(), d, n, m) }

// Sdiv emits SDIV d, n, m: d = n / m, signed; the least value by -1 is itself; 0 if m is 0.
func (a *Asm) Sdiv(w Width, d, n, m Reg) { a.rrr(0x1ac00c00|w.sf(), d, n, m) }

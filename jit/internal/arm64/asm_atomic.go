package arm64

// Ordered accesses and atomic operations. Addresses are a register alone, and
// aligned to the size of the access: others fault (without FEAT_LSE2).

// An Order says what an atomic operation is ordered with.
type Order uint8

const (
	Relaxed Order = 0
	Acquire Order = 1 // before what follows
	Release Order = 2 // after what precedes
	AcqRel  Order = 3 // both: what eBPF's fetching atomics are
)

// Ldar emits LDAR, LDARB or LDARH: a load-acquire, zero-extended.
func (a *Asm) Ldar(s Size, t, base Reg) { a.rr(0x08dffc00|uint32(s)<<30, t, base) }

// Stlr emits STLR, STLRB or STLRH: a store-release.
func (a *Asm) Stlr(s Size, t, base Reg) { a.rr(0x089ffc00|uint32(s)<<30, t, base) }

// Ldapr emits LDAPR and so on: a load-acquire that a store-release before it to
// another place may pass (FEAT_LRCPC).
func (a *Asm) Ldapr(s Size, t, base Reg) { a.rr(0x38bfc000|uint32(s)<<30, t, base) }

// Ldxr emits LDXR and so on, LDAXR with acquire: a load, zero-extended, that
// watches its address.
func (a *Asm) Ldxr(s Size, acquire Order, t, base Reg) {
	a.rr(0x085f7c00|uint32(s)<<30|uint32(acquire&Acquire)<<15, t, base)
}

// Stxr emits STXR and so on, STLXR with release: stores t and makes status 0 if
// nobody wrote since the Ldxr, else 1. status is neither t nor base.
func (a *Asm) Stxr(s Size, release Order, status, t, base Reg) {
	a.rr(0x08007c00|uint32(s)<<30|uint32(release&Release)<<14|status.n()<<16, t, base)
}

// Clrex emits CLREX: ends the watch of an Ldxr.
func (a *Asm) Clrex() { a.insn(0xd5033f5f) }

// lse appends an atomic memory operation of FEAT_LSE: bits A and R are acquire
// and release.
func (a *Asm) lse(op uint32, s Size, o Order, value, t, base Reg) {
	ar := uint32(o&Acquire)<<23 | uint32(o&Release)>>1<<22
	a.insn(op | uint32(s)<<30 | ar | value.n()<<16 | base.n()<<5 | t.n())
}

// Ldadd emits LDADD and so on: t = the memory, zero-extended, and the memory
// += value, at once (FEAT_LSE). With ZR for t acquire has no effect.
func (a *Asm) Ldadd(s Size, o Order, value, t, base Reg) { a.lse(0x38200000, s, o, value, t, base) }

// Ldclr emits LDCLR and so on: t = the memory, zero-extended, and the memory
// &= ^value, at once (FEAT_LSE). With ZR for t acquire has no effect.
func (a *Asm) Ldclr(s Size, o Order, value, t, base Reg) { a.lse(0x38201000, s, o, value, t, base) }

// Ldeor emits LDEOR and so on: t = the memory, zero-extended, and the memory
// ^= value, at once (FEAT_LSE). With ZR for t acquire has no effect.
func (a *Asm) Ldeor(s Size, o Order, value, t, base Reg) { a.lse(0x38202000, s, o, value, t, base) }

// Ldset emits LDSET and so on: t = the memory, zero-extended, and the memory
// |= value, at once (FEAT_LSE). With ZR for t acquire has no effect.
func (a *Asm) Ldset(s Size, o Order, value, t, base Reg) { a.lse(0x38203000, s, o, value, t, base) }

// Swp emits SWP and so on: t = the memory, zero-extended, and the memory
// = value, at once (FEAT_LSE). With ZR for t acquire has no effect.
func (a *Asm) Swp(s Size, o Order, value, t, base Reg) { a.lse(0x38208000, s, o, value, t, base) }

// Cas emits CAS and so on: if the memory equals old then it becomes value; old
// becomes what the memory was, zero-extended (FEAT_LSE).
func (a *Asm) Cas(s Size, o Order, old, value, base Reg) {
	a.rrr(0x08a07c00|uint32(s)<<30|uint32(o&Acquire)<<22|uint32(o&Release)<<14, value, base, old)
}

// A Barrier is what a Dmb orders, in the inner shareable domain.
type Barrier uint8

const (
	ISHLD Barrier = 9  // loads before, with loads and stores after
	ISHST Barrier = 10 // stores before, with stores after
	ISH   Barrier = 11 // all with all
)

// Dmb emits DMB b.
func (a *Asm) Dmb(b Barrier) { a.insn(0xd50330bf | uint32(b)<<8) }

// Isb emits ISB: what follows is fetched anew.
func (a *Asm) Isb() { a.insn(0xd5033fdf) }

// Csdb emits CSDB: with a CSEL before it, what follows uses no predicted value
// of its result.
func (a *Asm) Csdb() { a.insn(0xd503229f) }

// Yield emits YIELD: says that this is a spin loop.
func (a *Asm) Yield() { a.insn(0xd503203f) }

package amd64

// Locked operations. On write-back memory each is sequentially consistent, and
// atomic at any alignment (SDM vol. 3, section 9.1); across a cache line it is
// slow.

// LockAddMR emits LOCK ADD dst, src (SDM vol. 2: F0 01 /r; 8-bit F0 00 /r).
func (a *Asm) LockAddMR(w Width, dst Mem, src Reg) {
	a.rm(prefixLock, w, sized(w, 0x00), src, dst)
}

// LockAddMI emits LOCK ADD dst, imm; at W64 imm is sign-extended.
func (a *Asm) LockAddMI(w Width, dst Mem, imm int32) { a.aluMI(prefixLock, w, 0, dst, imm) }

// LockOrMR emits LOCK OR dst, src (SDM vol. 2: F0 09 /r; 8-bit F0 08 /r).
func (a *Asm) LockOrMR(w Width, dst Mem, src Reg) {
	a.rm(prefixLock, w, sized(w, 0x08), src, dst)
}

// LockOrMI emits LOCK OR dst, imm; at W64 imm is sign-extended.
func (a *Asm) LockOrMI(w Width, dst Mem, imm int32) { a.aluMI(prefixLock, w, 1, dst, imm) }

// LockAndMR emits LOCK AND dst, src (SDM vol. 2: F0 21 /r; 8-bit F0 20 /r).
func (a *Asm) LockAndMR(w Width, dst Mem, src Reg) {
	a.rm(prefixLock, w, sized(w, 0x20), src, dst)
}

// LockAndMI emits LOCK AND dst, imm; at W64 imm is sign-extended.
func (a *Asm) LockAndMI(w Width, dst Mem, imm int32) { a.aluMI(prefixLock, w, 4, dst, imm) }

// LockSubMR emits LOCK SUB dst, src (SDM vol. 2: F0 29 /r; 8-bit F0 28 /r).
func (a *Asm) LockSubMR(w Width, dst Mem, src Reg) {
	a.rm(prefixLock, w, sized(w, 0x28), src, dst)
}

// LockSubMI emits LOCK SUB dst, imm; at W64 imm is sign-extended.
func (a *Asm) LockSubMI(w Width, dst Mem, imm int32) { a.aluMI(prefixLock, w, 5, dst, imm) }

// LockXorMR emits LOCK XOR dst, src (SDM vol. 2: F0 31 /r; 8-bit F0 30 /r).
func (a *Asm) LockXorMR(w Width, dst Mem, src Reg) {
	a.rm(prefixLock, w, sized(w, 0x30), src, dst)
}

// LockXorMI emits LOCK XOR dst, imm; at W64 imm is sign-extended.
func (a *Asm) LockXorMI(w Width, dst Mem, imm int32) { a.aluMI(prefixLock, w, 6, dst, imm) }

// LockIncM emits LOCK INC dst (F0 FF /0).
func (a *Asm) LockIncM(w Width, dst Mem) { a.extM(prefixLock, w, sized(w, 0xfe), 0, dst) }

// LockDecM emits LOCK DEC dst (F0 FF /1).
func (a *Asm) LockDecM(w Width, dst Mem) { a.extM(prefixLock, w, sized(w, 0xfe), 1, dst) }

// LockXaddMR emits LOCK XADD dst, src: dst += src, and src = what dst was (SDM
// vol. 2: F0 0F C1 /r; 8-bit 0F C0).
func (a *Asm) LockXaddMR(w Width, dst Mem, src Reg) {
	a.rm(prefixLock, w, sized(w, esc(0xc0)), src, dst)
}

// XchgMR emits XCHG dst, src: exchanges them, locked without a prefix (SDM vol.
// 2: 87 /r; 8-bit 86 /r).
func (a *Asm) XchgMR(w Width, dst Mem, src Reg) { a.rm(0, w, sized(w, 0x86), src, dst) }

// LockCmpxchgMR emits LOCK CMPXCHG dst, src: if dst equals the accumulator then
// dst = src and the zero flag is set; else the accumulator = dst (SDM vol. 2: F0
// 0F B1 /r; 8-bit 0F B0). At W32 the upper half of RAX is then cleared only if
// they differ.
func (a *Asm) LockCmpxchgMR(w Width, dst Mem, src Reg) {
	a.rm(prefixLock, w, sized(w, esc(0xb0)), src, dst)
}

// LockCmpxchg16b emits LOCK CMPXCHG16B dst: if dst, aligned to 16, equals
// RDX:RAX then dst = RCX:RBX and the zero flag is set; else RDX:RAX = dst (SDM
// vol. 2: F0 REX.W 0F C7 /1).
func (a *Asm) LockCmpxchg16b(dst Mem) { a.extM(prefixLock, W64, esc(0xc7), 1, dst) }

// Mfence emits MFENCE: orders all loads and stores (SDM vol. 2: 0F AE F0).
func (a *Asm) Mfence() { a.Put(0xf0ae0f, 3) }

// Lfence emits LFENCE: what follows starts only when what is before it is done,
// which stops speculation (0F AE E8).
func (a *Asm) Lfence() { a.Put(0xe8ae0f, 3) }

// Pause emits PAUSE: says that this is a spin loop (F3 90).
func (a *Asm) Pause() { a.Put(0x90f3, 2) }

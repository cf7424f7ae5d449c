package arm64

import (
	"encoding/binary"
	"math/bits"
	"math/rand"
	"slices"
	"testing"
)

// decodeBitMask is the Arm ARM's DecodeBitMasks for an immediate; ok is false
// where it says UNDEFINED.
func decodeBitMask(w Width, n, immr, imms uint32) (v uint64, ok bool) {
	if w == W32 && n == 1 {
		return 0, false
	}
	length := bits.Len32(n<<6|^imms&0x3f) - 1
	if length < 1 {
		return 0, false
	}
	levels := uint32(1)<<length - 1
	if imms&levels == levels {
		return 0, false
	}
	s, r, esize := imms&levels, immr&levels, uint(1)<<length
	if immr&^levels != 0 {
		return 0, false // the bits above are ignored; another encoding of the same
	}
	elem := uint64(1)<<(s+1) - 1
	elem = rotr(elem, uint(r), esize)
	for i := uint(0); i < uint(w.Bits()); i += esize {
		v |= elem << i
	}
	return v, true
}

// TestBitMask enumerates every bitmask immediate there is, and looks for values
// near them and others that are none.
func TestBitMask(t *testing.T) {
	for _, w := range []Width{W32, W64} {
		all := map[uint64]uint32{}
		for n := range uint32(2) {
			for immr := range uint32(64) {
				for imms := range uint32(64) {
					if v, ok := decodeBitMask(w, n, immr, imms); ok {
						all[v] = n<<22 | immr<<16 | imms<<10
					}
				}
			}
		}
		// So many values has a run of ones in an element of 2 to w bits, rotated.
		want := 0
		for size := 2; size <= w.Bits(); size *= 2 {
			want += size * (size - 1)
		}
		if len(all) != want {
			t.Fatalf("%d bits: %d immediates, want %d", w.Bits(), len(all), want)
		}
		check := func(v uint64) {
			enc, ok := BitMask(w, v)
			if wantEnc, wantOK := all[v]; ok != wantOK || enc != wantEnc {
				t.Errorf("%d bits: %#x: %#x, %v; want %#x, %v", w.Bits(), v, enc, ok, wantEnc, wantOK)
			}
		}
		mask := ^uint64(0) >> (64 - w.Bits())
		check(0)
		check(mask)
		check(^uint64(0))
		for v := range all {
			check(v)
			for i := range w.Bits() {
				check(v ^ 1<<i)
			}
		}
		rng := rand.New(rand.NewSource(1))
		for range 100000 {
			check(rng.Uint64() & mask)
			check(rng.Uint64() & rng.Uint64() & rng.Uint64() & mask)
		}
	}
}

// run executes the instructions that MovI may write, on register d.
func run(t *testing.T, code []byte, d Reg) (v uint64, n int) {
	t.Helper()
	for ; len(code) > 0; code = code[4:] {
		w := binary.LittleEndian.Uint32(code)
		if Reg(w&31) != d {
			t.Fatalf("%#08x has another destination", w)
		}
		width := Width(w >> 31)
		shift := w >> 21 & 3 * 16
		imm := uint64(w>>5&0xffff) << shift
		switch {
		case w&0x7f800000 == 0x52800000: // MOVZ
			v = imm
		case w&0x7f800000 == 0x12800000: // MOVN
			v = ^imm
		case w&0x7f800000 == 0x72800000: // MOVK
			v = v&^(0xffff<<shift) | imm
		case w&0x7f8003e0 == 0x320003e0: // ORR d, ZR
			var ok bool
			if v, ok = decodeBitMask(width, w>>22&1, w>>16&63, w>>10&63); !ok {
				t.Fatalf("%#08x is undefined", w)
			}
		default:
			t.Fatalf("%#08x is not for MovI", w)
		}
		if width == W32 {
			v &= 0xffffffff
		}
		n++
	}
	return v, n
}

// parts returns how many 16-bit parts of v differ from p.
func parts(v uint64, p uint16) (n int) {
	for i := 0; i < 64; i += 16 {
		if uint16(v>>i) != p {
			n++
		}
	}
	return n
}

func TestMovI(t *testing.T) {
	a := NewAsm()
	check := func(v uint64, most int) {
		a.Reset()
		a.MovI(R17, v)
		got, n := run(t, a.Bytes(), R17)
		if got != v {
			t.Errorf("%#x becomes %#x", v, got)
		}
		if n > most {
			t.Errorf("%#x takes %d instructions, want at most %d", v, n, most)
		}
	}
	halves := []uint64{0, 1, 0x1234, 0x8000, 0xff, 0xfffe, 0xffff}
	for _, h3 := range halves {
		for _, h2 := range halves {
			for _, h1 := range halves {
				for _, h0 := range halves {
					v := h3<<48 | h2<<32 | h1<<16 | h0
					check(v, max(1, min(parts(v, 0), parts(v, 0xffff))))
					if _, ok := BitMask(W64, v); ok {
						check(v, 1)
					}
				}
			}
		}
	}
	for _, v := range []uint64{0xffff1234, 0x1234ffff, 0xffffffff, 0x55555555, 0x80000001} {
		check(v, 1)
	}
	rng := rand.New(rand.NewSource(1))
	for range 10000 {
		check(rng.Uint64()>>rng.Intn(64), 4)
	}
}

func TestIsAddImm(t *testing.T) {
	for _, v := range []uint64{0, 1, 0xfff, 0x1000, 0xfff000, 0x123000} {
		if !IsAddImm(v) {
			t.Errorf("%#x is one", v)
		}
	}
	for _, v := range []uint64{0x1001, 0x1000000, 1 << 32, 1 << 63, ^uint64(0)} {
		if IsAddImm(v) {
			t.Errorf("%#x is none", v)
		}
	}
}

// TestMisuse checks that what cannot be encoded is not.
func TestMisuse(t *testing.T) {
	for name, f := range map[string]func(a *Asm){
		"add":       func(a *Asm) { a.AddI(W64, R0, R1, 0x1001) },
		"add large": func(a *Asm) { a.AddI(W64, R0, R1, 1<<24) },
		"and":       func(a *Asm) { a.AndI(W64, R0, R1, 0) },
		"and 32":    func(a *Asm) { a.AndI(W32, R0, R1, 1<<40) },
		"shift":     func(a *Asm) { a.LslI(W32, R0, R1, 32) },
		"shifted":   func(a *Asm) { a.AddShifted(W32, R0, R1, R2, LSL, 32) },
		"extended":  func(a *Asm) { a.AddExt(W64, R0, R1, R2, UXTW, 5) },
		"field":     func(a *Asm) { a.Ubfx(W32, R0, R1, 30, 4) },
		"extr":      func(a *Asm) { a.RorI(W32, R0, R1, 32) },
		"offset":    func(a *Asm) { a.Ldr(S64, R0, At(R1, 257)) },
		"offset -":  func(a *Asm) { a.Ldr(S64, R0, At(R1, -257)) },
		"far":       func(a *Asm) { a.Ldr(S64, R0, At(R1, 4096*8)) },
		"pre":       func(a *Asm) { a.Str(S64, R0, Pre(R1, 256)) },
		"index":     func(a *Asm) { a.Ldr(S8, R0, Indexed(R1, R2, UXTB, Bytes)) },
		"pair":      func(a *Asm) { a.Ldp(W64, R0, R1, At(R2, 512)) },
		"pair odd":  func(a *Asm) { a.Stp(W64, R0, R1, At(R2, 4)) },
		"pair reg":  func(a *Asm) { a.Stp(W64, R0, R1, Indexed(R2, R3, UXTX, Bytes)) },
		"tbz":       func(a *Asm) { a.Tbz(R0, 64, a.NewLabel()) },
		"ccmp":      func(a *Asm) { a.CcmpI(W64, R0, 32, 0, EQ) },
		"ccmn":      func(a *Asm) { a.CcmnI(W64, R0, 32, 0, EQ) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f(NewAsm())
		})
	}
	var all []int32
	for d := int32(-300); d < 40000; d++ {
		if FitsOffset(S64, d) {
			all = append(all, d)
		}
	}
	if all[0] != -256 || all[len(all)-1] != 32760 || len(all) != 256+256+(4096-32) || !slices.Contains(all, 255) {
		t.Errorf("%d offsets from %d to %d", len(all), all[0], all[len(all)-1])
	}
}

package helpers

import "github.com/skepvm/skep/internal/mem"

// A Worker is an Env of a run that may be cancelled. Helpers that touch much memory
// in one call do so in parts, and ask it before each.
type Worker interface {
	// Work notes that a helper is about to work on n bytes. goOn is false if the run
	// is over: the helper returns, and what it returns nobody sees.
	Work(n int) (goOn bool)
}

// part is how many bytes a helper works on before it asks again: tens of microseconds,
// and as much as mem copies at a time.
const part = 1 << 18

// eachPart calls f for each part of n bytes, from at to end, the last first if
// backwards, until the run is over or f says that it is done.
func eachPart(env Env, n int, backwards bool, f func(at, end int) (goOn bool)) {
	w, _ := env.(Worker)
	for done := 0; done < n; {
		size := min(part, n-done)
		if w != nil && !w.Work(size) {
			return
		}
		at := done
		if backwards {
			at = n - done - size
		}
		if !f(at, at+size) {
			return
		}
		done += size
	}
}

// fill sets every byte of b to c.
func fill(env Env, b []byte, c byte) {
	if len(b) <= part {
		mem.Fill(b, c)
		return
	}
	eachPart(env, len(b), false, func(at, end int) bool {
		mem.Fill(b[at:end], c)
		return true
	})
}

// move is CopyMem of memory that may be large.
func move(env Env, dst, src []byte) {
	if len(src) <= part {
		mem.CopyShared(dst, src)
		return
	}
	_, inside := mem.Index(src, dst[:0]) // what is read later must not be overwritten before
	eachPart(env, len(src), inside, func(at, end int) bool {
		mem.CopyShared(dst[at:end], src[at:end])
		return true
	})
}

// compare is bytes.Compare.
func compare(env Env, x, y []byte) (c int) {
	if len(x) <= part {
		return mem.Compare(x, y)
	}
	eachPart(env, len(x), false, func(at, end int) bool {
		c = mem.Compare(x[at:end], y[at:end])
		return c == 0
	})
	return c
}

// checksum is CsumPartial.
func checksum(env Env, b []byte, sum uint32) uint32 {
	if len(b) <= part {
		return CsumPartial(b, sum)
	}
	eachPart(env, len(b), false, func(at, end int) bool {
		sum = CsumPartial(b[at:end], sum)
		return true
	})
	return sum
}

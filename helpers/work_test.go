package helpers_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/helpers/helpertest"
)

// A worker is a run that is over when a helper has asked left times; never, if that
// is below 0.
type worker struct {
	*helpertest.Env
	left, asked int
}

func (w *worker) Work(int) bool {
	w.asked++
	w.left--
	return w.left != -1
}

// TestWork: helpers that get much memory do all that they are to do, in parts, and
// nothing more once the run is over. What memory is to hold Go's own functions say.
func TestWork(t *testing.T) {
	const size = 1<<20 + 77
	rng := rand.New(rand.NewPCG(1, 2))
	random := make([]byte, 2*size)
	for i := range random {
		random[i] = byte(rng.Uint32())
	}
	for _, over := range []bool{false, true} {
		for _, from := range []int{0, 5, 1000, size / 2, size} { // of what is copied; the rest is at 1000
			env := &worker{Env: &helpertest.Env{}, left: -1}
			if over {
				env.left = 2 // about half of it
			}
			b := bytes.Clone(random)
			base := env.Put(b)
			call := func(f *helpers.Func, args ...uint64) uint64 {
				a := [5]uint64{}
				copy(a[:], args)
				return f.Impl(env, a[0], a[1], a[2], a[3], a[4])
			}
			want := bytes.Clone(random)
			copy(want[1000:1000+size-2000], random[from:])
			call(helpers.Builtin("memmove"), base+1000, base+uint64(from), size-2000)
			if got := bytes.Equal(b, want); got == over && !bytes.Equal(want, random) || env.Aborted != nil || env.asked < 3 {
				t.Errorf("move from %d, over %v: equal %v, asked %d times, %v", from, over, got, env.asked, env.Aborted)
			}
		}
		env := &worker{Env: &helpertest.Env{}, left: -1}
		b := bytes.Clone(random)
		base := env.Put(b)
		if over {
			env.left = 2
		}
		if helpers.Builtin("memset").Impl(env, base, 7, size, 0, 0); over != (b[size-1] != 7) || b[size] != random[size] || b[0] != 7 {
			t.Errorf("memset, over %v: %d … %d, %d", over, b[0], b[size-1], b[size])
		}
		if over {
			continue
		}
		x, y := bytes.Clone(random[:size]), bytes.Clone(random[:size])
		ax, ay := env.Put(x), env.Put(y)
		for _, at := range []int{-1, 0, 1 << 18, size / 2, size - 1} {
			want := 0
			if at >= 0 {
				y[at]++
				want = bytes.Compare(x, y)
			}
			if got := int(int64(helpers.Builtin("memcmp").Impl(env, ax, ay, size, 0, 0))); got != want {
				t.Errorf("memcmp that differs at %d: %d, want %d", at, got, want)
			}
			if at >= 0 {
				y[at]--
			}
		}
		for _, n := range []int{1 << 18, 1<<18 + 4, size &^ 3} {
			// RFC 1071: the sum of 16-bit words with the carries put back in.
			sum := uint64(0)
			for i := 0; i < n; i += 2 {
				sum += uint64(x[i]) | uint64(x[i+1])<<8
			}
			for sum > 0xffff {
				sum = sum&0xffff + sum>>16
			}
			if got := helpers.CsumDiff.Impl(env, 0, 0, ax, uint64(n), 0); got != sum {
				t.Errorf("checksum of %d bytes: %#x, want %#x", n, got, sum)
			}
			if got := helpers.CsumDiff.Impl(env, ax, uint64(n), ay, uint64(n), 0); got != 0 && got != 0xffff {
				t.Errorf("difference of equal bytes: %#x", got)
			}
		}
	}
}

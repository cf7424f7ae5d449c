package vm_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// TestPlainMemory: a helper of memory gets what the program means, of any size, next
// to helpers of other forms, whatever the engine does to get there.
func TestPlainMemory(t *testing.T) {
	const size = 1 << 13
	value := make([]byte, size)
	for i := range value {
		value[i] = byte(i * 7)
	}
	var got [][]byte
	end := fmt.Errorf("end")
	panics := false
	o := map[helpers.ID]*helpers.Func{
		1000: helpers.New1("bytes", func(_ helpers.Env, b []byte) uint64 {
			if panics {
				panic(end)
			}
			got = append(got, bytes.Clone(b))
			return uint64(len(b))
		}),
		1001: helpers.New1("number", func(_ helpers.Env, n uint64) uint64 { return n + 1 }),
		1002: helpers.New1("out", func(_ helpers.Env, b helpers.Out) int {
			for i := range b {
				b[i] = 5
			}
			return -len(b)
		}),
		1003: helpers.New1("small", func(_ helpers.Env, b []byte) uint8 { return uint8(len(b)) }),
		1004: helpers.New2("two", func(_ helpers.Env, b []byte, n int) int { return len(b) + n }),
	}
	for _, e := range usable(t) {
		for _, n := range []int{0, 1, 8, 511, 4095, 4096, 8191, size} {
			text := fmt.Sprintf("r1 = 41\ncall 1001\nr6 = r0\nr1 = map[0][0]+0\nr2 = %d\ncall 1000\nr6 += r0\n"+
				"r1 = r10\nr1 += -16\nr2 = 16\ncall 1002\nr6 += r0\n"+
				"r1 = r10\nr1 += -16\nr2 = 16\ncall 1000\nr6 += r0\n"+
				"r1 = r10\nr1 += -16\nr2 = 16\ncall 1003\nr6 += r0\n"+
				"r1 = r10\nr1 += -16\nr2 = 16\nr3 = 100\ncall 1004\nr6 += r0\nr0 = r6\nexit", n)
			p := load(t, linux.XDP, text, vm.Options{Engine: e, Helpers: o},
				&maps.Spec{Name: "m", Type: maps.Array, KeySize: 4, ValueSize: size, MaxEntries: 1, Contents: []maps.Entry{{Key: make([]byte, 4), Value: value}}}).Program("p")
			for range 3 {
				got = nil
				r0, err := p.Run(make([]byte, 64))
				if want := uint64(42 + n - 16 + 16 + 16 + 116); r0 != want || err != nil {
					t.Fatalf("%s, %d bytes: %d, %v, want %d", e, n, r0, err, want)
				}
				if len(got) != 2 || !bytes.Equal(got[0], value[:n]) || !bytes.Equal(got[1], bytes.Repeat([]byte{5}, 16)) {
					t.Fatalf("%s, %d bytes: the helper got %d times, %d bytes first", e, n, len(got), len(got[0]))
				}
			}
			panics = true
			func() {
				defer func() {
					if v := recover(); v != end {
						t.Errorf("%s: recovered %v", e, v)
					}
				}()
				p.Run(make([]byte, 64))
			}()
			panics = false
			if s := p.Stats(); s.Runs != 4 || s.Errors != 1 {
				t.Errorf("%s: %+v", e, s)
			}
		}
	}
}

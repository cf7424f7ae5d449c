//go:build sweep

package vm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/prog"
)

func TestLeakScratch(t *testing.T) {
	fill := "r1 = 0x5555aaaa5555aaaa ll\n"
	for i := 8; i <= 512; i += 8 {
		fill += fmt.Sprintf("*(u64 *)(r10 -%d) = r1\n", i)
	}
	fill += "r0 = *(u64 *)(r10 -64)\nexit\n"
	read := "r2 = 5000\nr3 = r10\nr3 += -64\nr4 = 8\ncall 189\nr0 = *(u64 *)(r10 -64)\nexit\n"
	for _, e := range []Engine{JIT, Interp, Checked} {
		mk := func(text string) *Program {
			raw, err := prog.Assemble(text)
			if err != nil {
				t.Fatal(err)
			}
			p, err := prog.FromInsns("p", linux.XDP, raw, nil)
			if err != nil {
				t.Fatal(err)
			}
			c, err := LoadProgram(p, Options{Engine: e})
			if err != nil {
				t.Fatal(err)
			}
			return c.Program("p")
		}
		a, b := mk(fill), mk(strings.ReplaceAll(read, "x", "x"))
		a.Run(make([]byte, 64))
		got, err := b.Run(make([]byte, 64))
		fmt.Printf("%v: %#x %v\n", e, got, err)
	}
}

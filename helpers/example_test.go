package helpers_test

import (
	"fmt"
	"log"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// The contract of a helper follows from the Go function: calls of this one pass
// the address of memory to be read, its size, and a number.
func ExampleNew2() {
	count := helpers.New2("count", func(_ helpers.Env, s []byte, c uint8) uint64 {
		n := uint64(0)
		for _, b := range s {
			if b == c {
				n++
			}
		}
		return n
	})
	insns, err := prog.Assemble(`
		*(u64 *)(r10 -8) = 0x616161
		r1 = r10
		r1 += -8
		r2 = 8
		r3 = 0x61
		call 1000
		exit`)
	if err != nil {
		log.Fatal(err)
	}
	nothing := hook.MustDefine[struct{ Unused uint32 }]("nothing")
	p, err := prog.FromInsns("example", nothing.Type, insns, nil)
	if err != nil {
		log.Fatal(err)
	}
	coll, err := vm.LoadProgram(p, vm.Options{Helpers: map[helpers.ID]*helpers.Func{1000: count}})
	if err != nil {
		log.Fatal(err)
	}
	defer coll.Close()
	fmt.Println(coll.Program("example").Run(nil))
	// Output: 3 <nil>
}

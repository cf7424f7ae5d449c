package prog_test

import (
	"fmt"
	"log"
	"os"

	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/prog"
)

func ExampleAssemble() {
	insns, err := prog.Assemble(`
		r1 = 1
		r2 = 0x123456789 ll       # a wide instruction: two slots
		if r1 s> 0x5 goto out
		call 7
	out:
		r0 = 2
		exit`)
	if err != nil {
		log.Fatal(err)
	}
	p, err := prog.FromInsns("example", linux.XDP, insns, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(insns), "slots")
	p.Disasm(os.Stdout, prog.DisasmOptions{})
	// Output:
	// 7 slots
	// example:
	//    0: (b7) r1 = 1
	//    1: (18) r2 = 0x123456789 ll
	//    3: (65) if r1 s> 0x5 goto pc+1
	//    4: (85) call bpf_get_prandom_u32#7
	//    5: (b7) r0 = 2
	//    6: (95) exit
}

package elf_test

import (
	"fmt"
	"log"

	"github.com/skepvm/skep/elf"
)

// What an object holds can be changed until it is loaded.
func ExampleOpen() {
	obj, err := elf.Open("../examples/xdp-firewall/filter.o")
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range obj.Programs {
		fmt.Println(p.Name, p.Type.Name)
	}
	obj.Map("blocked_prefixes").MaxEntries = 1000
	if err := obj.Variable("answer_ping").Set(false); err != nil {
		log.Fatal(err)
	}
	fmt.Println(obj.Variable("answer_ping").Set("no"))
	// Output:
	// firewall xdp
	// variable answer_ping: string of 2 bytes and a NUL in 1 bytes
}

package verifier_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/skepvm/skep/elf"
	"github.com/skepvm/skep/verifier"
)

// A program that compares with the length of one header and reads the next is
// refused, with the place in C and what would fix it.
func ExampleVerify() {
	obj, err := elf.Open("../testdata/verifier/explain/packet.o", elf.Options{})
	if err != nil {
		log.Fatal(err)
	}
	p, err := obj.Link(obj.Program("packet"))
	if err != nil {
		log.Fatal(err)
	}
	_, _, err = verifier.Verify(context.Background(), p, verifier.Options{})
	var e *verifier.Error
	if errors.As(err, &e) {
		fmt.Println(e.Code, "in line", e.Line.Num)
		fmt.Println(e.Msg)
		fmt.Println(e.Hint)
	}
	// Output:
	// out-of-bounds in line 29
	// pkt access at offset 23, size 1; 14 bytes are proven
	// compare r1+24 against data_end before line 29, and leave if it is greater: the comparison at line 24 proves 14 bytes, not 24
}

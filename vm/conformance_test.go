package vm_test

import (
	"bytes"
	"testing"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/bpftest"
	"github.com/skepvm/skep/vm"
)

// engines are those that every vector and every generated program runs under.
var engines = []vm.Engine{vm.Checked, vm.Interp, vm.JIT}

func TestConformance(t *testing.T) {
	cases, err := bpftest.Load("../testdata/conformance")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range engines {
		if e == vm.JIT {
			needCompiler(t)
		}
		for i := range cases {
			c := &cases[i]
			if c.Error != "" { // refused before there is anything to run
				continue
			}
			t.Run(string(e)+"/"+c.Name, func(t *testing.T) {
				p, err := c.Program(linux.Platform, helpers.Base())
				if err != nil {
					t.Fatal(err)
				}
				coll, err := vm.LoadProgram(p, vm.Options{Engine: e})
				if err != nil {
					t.Fatalf("%s:%d: %v", c.File, c.Line, err)
				}
				defer coll.Close()
				got, err := coll.Program(p.Name).Run(bytes.Clone(c.Mem))
				if c.Type != "" {
					got = uint64(uint32(got)) // all that the kernel reports
				}
				if err != nil || got != c.Result {
					t.Errorf("%s:%d: got %#x, %v, want %#x (%s)", c.File, c.Line, got, err, c.Result, c.Source)
				}
			})
		}
	}
}

package vm_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/bpftest"
	"github.com/skepvm/skep/verifier"
	"github.com/skepvm/skep/vm"
)

// engines are those that every vector and every generated program runs under.
var engines = []vm.Engine{vm.Checked, vm.JIT}

// unverified are the vectors that the verifier does not accept, so that there
// is no machine code of them, with its reason.
var unverified = map[string]verifier.Code{
	"call/callx-helper":     verifier.Unsupported,
	"call/callx-subprogram": verifier.Unsupported,
}

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
				if code, ok := unverified[c.Name]; ok && e == vm.JIT {
					var bad *verifier.Error
					if !errors.As(err, &bad) || bad.Code != code {
						t.Errorf("%v, want %s", err, code)
					}
					return
				}
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

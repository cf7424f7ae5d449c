package bpftest

import (
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/prog"
)

var update = flag.Bool("update", false, "write what the kernel computes into the vectors' results of source kernel")

const vectors = "../../testdata/conformance"

// kernelResult runs c in the kernel. A case without a type becomes a
// subprogram of a syscall program, whose context is c.Mem and, after it, the
// place where R0 goes. A case with a type gets Mem as packet, and only 32 bits
// of its R0 come out. log is why the kernel refused it; "" if it did not.
func kernelResult(c *Case) (r0 uint64, log string, err error) {
	o := oracle.LoadOptions{Type: oracle.Syscall}
	in := oracle.RunInput{}
	at := (len(c.Mem) + 7) &^ 7
	switch c.Type {
	case "":
		o.Insns = append([]prog.Insn{
			{Op: 0xbf, Dst: 6, Src: 1},                 // r6 = r1
			{Op: 0x85, Src: 1, Imm: 3},                 // call the case
			{Op: 0x7b, Dst: 6, Src: 0, Off: int16(at)}, // *(u64 *)(r6 +at) = r0
			{Op: 0xb7}, {Op: 0x95}, // r0 = 0; exit
		}, c.Insns...)
		in.Ctx = make([]byte, at+8)
		copy(in.Ctx, c.Mem)
	case "sched_cls":
		o.Type, o.Insns = oracle.SchedCls, c.Insns
		in.Data = c.Mem
	default:
		return 0, "", fmt.Errorf("no way to run type %s", c.Type)
	}
	p, log, err := oracle.Load(o)
	if err != nil {
		return 0, err.Error() + "\n" + log, nil
	}
	defer p.Close()
	r, err := p.Run(in)
	if err != nil {
		return 0, "", err
	}
	if c.Type != "" {
		return uint64(r.Retval), "", nil
	}
	return binary.NativeEndian.Uint64(r.Ctx[at:]), "", nil
}

// TestVectorsInKernel runs every vector in the kernel, whatever its source.
func TestVectorsInKernel(t *testing.T) {
	oracle.Skip(t)
	cases, err := Load(vectors)
	if err != nil {
		t.Fatal(err)
	}
	results := map[string]map[int]uint64{} // file to line to result
	for i := range cases {
		c := &cases[i]
		t.Run(c.Name, func(t *testing.T) {
			got, log, err := kernelResult(c)
			refuses := c.KernelRefuses
			if c.Error != "" && refuses == "" {
				refuses = "\n" // any log
			}
			switch {
			case err != nil:
				t.Fatal(err)
			case c.KernelAccepts != "":
				if log != "" {
					t.Errorf("%s:%d: the kernel refuses it: %s", c.File, c.Line, log)
				}
			case refuses != "":
				if !strings.Contains(log, refuses) {
					t.Errorf("%s:%d: kernel log %q, want %q", c.File, c.Line, log, refuses)
				}
			case log != "":
				t.Errorf("%s:%d: the kernel refuses it: %s", c.File, c.Line, log)
			case *update && c.Source == "kernel":
				if results[c.File] == nil {
					results[c.File] = map[int]uint64{}
				}
				results[c.File][c.resultLine] = got
			case got != c.Result:
				t.Errorf("%s:%d: %#x, the kernel computes %#x", c.File, c.resultLine, c.Result, got)
			}
		})
	}
	for file, byLine := range results {
		writeResults(t, file, byLine)
	}
}

func writeResults(t *testing.T, file string, byLine map[int]uint64) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for line, r := range byLine {
		lines[line-1] = fmt.Sprintf("%#x", r)
	}
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestVectorsCoverForms links every vector, or sees it refused for the reason
// it names, and finds each instruction form in at least one.
func TestVectorsCoverForms(t *testing.T) {
	cases, err := Load(vectors)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for i := range cases {
		c := &cases[i]
		p, err := c.Program(platform, nil)
		switch {
		case c.Error != "":
			if err == nil || !strings.Contains(err.Error(), c.Error) {
				t.Errorf("%s:%d: got %v, want %s", c.File, c.Line, err, c.Error)
			}
			continue
		case err != nil:
			t.Errorf("%s:%d: %v", c.File, c.Line, err)
			continue
		}
		for pc := range p.Insns {
			if f := formOf(p.Insns[pc]); f != nil {
				seen[f.Text] = true
			}
		}
	}
	var missing []string
	for _, text := range formTexts() {
		if !seen[text] {
			missing = append(missing, text)
		}
	}
	slices.Sort(missing)
	// What a vector cannot hold: maps and names of the host, and what no
	// engine runs.
	want := []string{
		"call kfunc[{off}]#{imm}",
		"r{dst} = addr_space_cast(r{src}, 0, 1)", "r{dst} = addr_space_cast(r{src}, 1, 0)",
		"r{dst} = btf_id[{imm}]",
		"r{dst} = map[{imm}]", "r{dst} = map[{imm}][0]+{next}",
		"r{dst} = map_idx[{imm}]", "r{dst} = map_idx[{imm}][0]+{next}",
	}
	if !slices.Equal(missing, want) {
		t.Errorf("forms without a vector: %q", missing)
	}
}

package main

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// write keeps b in a file.
func (b *batch) write(file string) error {
	var buf bytes.Buffer
	if err := gob.NewEncoder(&buf).Encode(b); err != nil {
		return err
	}
	return os.WriteFile(file, buf.Bytes(), 0o644)
}

// readBatch is the inverse of write.
func readBatch(file string) (*batch, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var b batch
	if err := gob.NewDecoder(bytes.NewReader(raw)).Decode(&b); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &b, nil
}

// shrink prints what smallest finds for a file that save wrote. host is, of a
// refusal, its code.
func (c *campaign) shrink(file, host, engine string) error {
	b, err := readBatch(file)
	if err != nil {
		return err
	}
	if strings.HasPrefix(filepath.Base(file), "refused") {
		engine = kernelEngine
	}
	insns, why, err := c.smallest(b, host, engine)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	base, err := b.base()
	if err != nil {
		return err
	}
	p, err := prog.FromInsns("p", base.typ, insns, base.maps)
	if err != nil {
		return err
	}
	fmt.Println(why)
	return p.Disasm(os.Stdout, prog.DisasmOptions{})
}

// smallest takes instructions from the only variant of b for as long as engine
// differs from the checked interpreter, or, if it is the kernel, as machine code is
// refused for the same reason, and says what differs.
func (c *campaign) smallest(b *batch, host, engine string) (insns []prog.Insn, why string, err error) {
	if insns, err = prog.Decode(b.Variants[0]); err != nil {
		return nil, "", err
	}
	differs := func(insns []prog.Insn) (string, bool) { return c.differs(b, insns, host, engine) }
	if engine == kernelEngine {
		differs = func(insns []prog.Insn) (string, bool) { return c.refuses(b, insns, host) }
	}
	why, bad := differs(insns)
	if !bad {
		return nil, "", fmt.Errorf("nothing differs: %s", why)
	}
	for shorter := true; shorter; {
		shorter = false
		for size := 16; size > 0; size /= 2 {
			for pc := 0; pc+size < len(insns); {
				e := &edit{insns: append([]prog.Insn(nil), insns...)}
				e.decode()
				if e.second(pc) || e.second(pc+size) {
					pc++
					continue
				}
				e.remove(pc, size)
				less := e.encode()
				if text, bad := differs(less); bad {
					insns, why, shorter = less, text, true
					continue
				}
				pc++
			}
		}
	}
	return insns, why, nil
}

// differs reports whether engine differs from the checked interpreter on insns.
func (c *campaign) differs(b *batch, insns []prog.Insn, host, engine string) (string, bool) {
	one := *b
	one.Variants, one.Engines, one.Show = [][]byte{prog.Encode(insns)}, []string{string(vm.Checked)}, true
	ref, err := c.host.do(request{Batch: &one})
	if err != nil || len(ref) != 1 || ref[0].Refused != "" {
		return "", false
	}
	one.Engines = []string{engine}
	w := c.host
	if host == "arm64" {
		w = c.arm
	}
	got, err := w.do(request{Batch: &one})
	switch {
	case err != nil:
		return err.Error(), errors.Is(err, errEnded)
	case len(got) != 1 || got[0].Refused != "":
		return got[0].Refused, false
	case !equal(got[0], ref[0]):
		return fmt.Sprintf("%s %v\nchecked %v", engine, got[0].Runs, ref[0].Runs), true
	}
	return "", false
}

// refuses reports whether machine code is refused for that reason, but not by the
// kernel.
func (c *campaign) refuses(b *batch, insns []prog.Insn, reason string) (string, bool) {
	one := *b
	one.Variants, one.Engines = [][]byte{prog.Encode(insns)}, []string{c.fastest(), kernelEngine}
	got, err := c.host.do(request{Batch: &one})
	if err != nil || len(got) != 2 || got[0].Refused != reason || got[1].Refused != "" {
		return "", false
	}
	return reason, true
}

package main

import (
	"fmt"
	"os"
	"time"

	"github.com/google/pprof/profile"

	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// A profiler counts how often each instruction of each program runs.
type profiler struct {
	programs []*vm.Program // in the order in which they first ran
	counts   map[*vm.Program][]int64
	begin    time.Time

	last *vm.Program // whose counts cur are
	cur  []int64
}

func newProfiler() *profiler {
	return &profiler{counts: map[*vm.Program][]int64{}, begin: time.Now()}
}

// observe is called before each instruction.
func (f *profiler) observe(p *vm.Program, pc int, _ *[16]uint64) {
	if p != f.last {
		f.last, f.cur = p, f.counts[p]
		if f.cur == nil {
			f.cur = make([]int64, len(p.Linked().Insns))
			f.counts[p] = f.cur
			f.programs = append(f.programs, p)
		}
	}
	f.cur[pc]++
}

// profile returns the counts for pprof: a sample for each instruction that ran,
// with its function and C line, and the program as a label. Programs are
// mappings, one after the other, and addresses are those of slots in them.
func (f *profiler) profile() *profile.Profile {
	out := &profile.Profile{
		SampleType:        []*profile.ValueType{{Type: "instructions", Unit: "count"}},
		DefaultSampleType: "instructions",
		TimeNanos:         f.begin.UnixNano(),
		DurationNanos:     time.Since(f.begin).Nanoseconds(),
	}
	base := uint64(0x1000)
	for _, p := range f.programs {
		linked := p.Linked()
		size := uint64(len(linked.Insns)) * 8
		m := &profile.Mapping{
			ID: uint64(len(out.Mapping) + 1), Start: base, Limit: base + size, File: p.Name(),
			HasFunctions: true, HasFilenames: len(linked.Lines) > 0, HasLineNumbers: len(linked.Lines) > 0,
		}
		out.Mapping = append(out.Mapping, m)
		functions := map[sourceFunc]*profile.Function{}
		for pc, n := range f.counts[p] {
			if n == 0 {
				continue
			}
			line := linked.LineAt(prog.PC(pc))
			at := sourceFunc{linked.FuncAt(prog.PC(pc)), line.File}
			if functions[at] == nil {
				name := linked.Funcs[at.function].Name
				functions[at] = &profile.Function{ID: uint64(len(out.Function) + 1), Name: name, SystemName: name, Filename: at.file}
				out.Function = append(out.Function, functions[at])
			}
			l := &profile.Location{
				ID: uint64(len(out.Location) + 1), Mapping: m, Address: base + uint64(pc)*8,
				Line: []profile.Line{{Function: functions[at], Line: int64(line.Num)}},
			}
			out.Location = append(out.Location, l)
			out.Sample = append(out.Sample, &profile.Sample{
				Location: []*profile.Location{l}, Value: []int64{n}, Label: map[string][]string{"program": {p.Name()}},
			})
		}
		base += (size + 0xfff) &^ 0xfff
	}
	return out
}

// A sourceFunc is a function, or the part of it that was inlined from another
// file.
type sourceFunc struct {
	function int
	file     string
}

// write writes the profile to the file called name, compressed.
func (f *profiler) write(name string) error {
	p := f.profile()
	if err := p.CheckValid(); err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	out, err := os.Create(name)
	if err != nil {
		return err
	}
	err = p.Write(out)
	if closed := out.Close(); err == nil {
		err = closed
	}
	return err
}

// observers returns what calls each of fs; nil if there is none.
func observers(fs ...func(*vm.Program, int, *[16]uint64)) func(*vm.Program, int, *[16]uint64) {
	switch len(fs) {
	case 0:
		return nil
	case 1:
		return fs[0]
	}
	return func(p *vm.Program, pc int, regs *[16]uint64) {
		for _, f := range fs {
			f(p, pc, regs)
		}
	}
}

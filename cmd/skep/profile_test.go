package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// aroundPerRun is how often the instructions of each line of testdata/profile.c
// run in one run of around, counted by hand over llvm-objdump's listing: the
// loop goes round 10 times and back 9 times; step sees 0, 5, 8, 13, 16, 21, 24,
// 29, 32 and 37, of which five are odd.
var aroundPerRun = map[string]int64{
	"around ./profile.c:18": 2,        // two constants
	"around ./profile.c:24": 10 * 2,   // move, call
	"around ./profile.c:23": 10*2 + 9, // decrement, exit of the loop; jump back
	"around ./profile.c:25": 1,        // exit
	"step ./profile.c:11":   10*5 + 5, // all of the decision; 3 instead of 5 where x is odd
	"step ./profile.c:14":   10,       // exit
}

// TestProfile compares a profile, as pprof's own package reads it, with counts
// made by hand.
func TestProfile(t *testing.T) {
	const runs = 7
	file := t.TempDir() + "/out.pb.gz"
	out, complaints, code := runSkep(t, "run", "--profile", file, "--repeat", fmt.Sprint(runs), "--json", "testdata/profile.o")
	if code != exitOK {
		t.Fatalf("exit code %d: %s", code, complaints)
	}
	var report struct {
		Engine string
		Retval int
		Insns  int64
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || report.Engine != "checked" || report.Retval != 40 {
		t.Fatalf("%s: %v", out, err)
	}
	p := readProfile(t, file)
	if len(p.SampleType) != 1 || p.SampleType[0].Type != "instructions" || p.SampleType[0].Unit != "count" {
		t.Errorf("values are %v", p.SampleType)
	}
	got, total := byLine(t, p), int64(0)
	want := map[string]int64{}
	for line, n := range aroundPerRun {
		want[line] = n * runs
		total += n
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	if report.Insns != total {
		t.Errorf("a run has %d instructions, %d by hand", report.Insns, total)
	}
	for _, s := range p.Sample {
		if l := s.Label["program"]; len(l) != 1 || l[0] != "around" {
			t.Errorf("labels %v", s.Label)
		}
	}
}

// TestProfileOfFault: what ran before a fault is in the profile, together with
// a trace, and what cannot be written is said.
func TestProfileOfFault(t *testing.T) {
	file := t.TempDir() + "/out.pb.gz"
	_, complaints, code := runSkep(t, "run", "--engine", "checked", "--trace", "--profile", file, "--program", "no_check", "testdata/programs.o")
	if code != exitRefused {
		t.Fatalf("exit code %d: %s", code, complaints)
	}
	var traced, counted int64
	for line := range strings.Lines(complaints) {
		if strings.HasPrefix(line, "no_check+") {
			traced++
		}
	}
	for _, n := range byLine(t, readProfile(t, file)) {
		counted += n
	}
	if traced == 0 || traced != counted {
		t.Errorf("%d instructions traced, %d counted", traced, counted)
	}
	if _, complaints, code := runSkep(t, "run", "--profile", t.TempDir()+"/no/such", "testdata/profile.o"); code != exitUsage || !strings.Contains(complaints, "no/such") {
		t.Errorf("exit code %d: %s", code, complaints)
	}
}

func readProfile(t *testing.T, name string) *profile.Profile {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := profile.Parse(f)
	if err == nil {
		err = p.CheckValid()
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// byLine adds up the samples of each line of each function.
func byLine(t *testing.T, p *profile.Profile) map[string]int64 {
	t.Helper()
	sum := map[string]int64{}
	for _, s := range p.Sample {
		if len(s.Location) != 1 || len(s.Location[0].Line) != 1 {
			t.Fatalf("a sample has %d locations", len(s.Location))
		}
		l := s.Location[0].Line[0]
		sum[fmt.Sprintf("%s %s:%d", l.Function.Name, l.Function.Filename, l.Line)] += s.Value[0]
	}
	return sum
}

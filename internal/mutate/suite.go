package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A suite is a test binary.
type suite struct {
	pkg   string
	tags  string
	tests string   // expression that names them
	short bool     // runs with -short
	env   []string // how much of a campaign
}

// suites are the killers. Campaigns run a slice of what they run by themselves.
var suites = []suite{
	{pkg: "verifier/internal/tnum", tests: "^Test", short: true},
	{pkg: "verifier/internal/scalar", tests: "^Test", short: true, tags: "smallwidth"},
	{pkg: "verifier/internal/scalar", tests: "^Test(P|String|W)", short: true}, // TestSmallWidth is the suite above
	{pkg: "verifier/internal/state", tests: "^Test", short: true},
	{pkg: "verifier", tests: "^Test"},
	{pkg: "vm", tests: "^Test(Sound|Kernel|Verify|EmptyPacket)", env: []string{"SKEP_FUZZ_STEPS=200000", "SKEP_DIFF_PROGS=300"}},
}

// A test is one test function of a suite.
type test struct {
	suite
	binary, name string
	took         time.Duration // of processor, without a mutant
	reaches      map[int]bool  // mutants that it executes
}

func (t *test) String() string { return filepath.Base(t.pkg) + "." + t.name }

// build compiles the suites with all mutants and returns their tests, the
// quickest first, each run once to see what it reaches. All must pass.
func build(dir, overlay string) ([]*test, error) {
	var tests []*test
	for i, s := range suites {
		binary := filepath.Join(dir, fmt.Sprintf("suite%d", i))
		if _, err := goCommand("test", "-c", "-vet=off", "-tags="+s.tags, "-overlay="+overlay, "-o", binary, "./"+s.pkg); err != nil {
			return nil, err
		}
		if _, err := os.Stat(binary); err != nil {
			continue // no tests
		}
		out, err := exec.Command(binary, "-test.list="+s.tests).Output()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.pkg, err)
		}
		for _, name := range strings.Fields(string(out)) {
			t := &test{suite: s, binary: binary, name: name}
			if err := t.measure(filepath.Join(dir, "reach")); err != nil {
				return nil, err
			}
			tests = append(tests, t)
		}
	}
	slices.SortStableFunc(tests, func(a, b *test) int { return int(a.took - b.took) })
	return tests, nil
}

// measure runs t without a mutant.
func (t *test) measure(reach string) error {
	if err := os.WriteFile(reach, nil, 0o666); err != nil {
		return err
	}
	took, out, err := t.run(10*time.Minute, envReach+"="+reach)
	if err != nil {
		return fmt.Errorf("%v fails without a mutant: %w\n%s", t, err, out)
	}
	t.took = took
	b, err := os.ReadFile(reach)
	if err != nil {
		return err
	}
	t.reaches = map[int]bool{}
	for _, f := range strings.Fields(string(b)) {
		n, err := strconv.Atoi(f)
		if err != nil {
			return err
		}
		t.reaches[n] = true
	}
	return nil
}

// errTime says that a test took too long.
var errTime = errors.New("time limit")

// memoryLimit bounds the address space of a test, in KiB: some mutants never
// stop asking for memory.
const memoryLimit = 16 << 20

// run runs t for at most limit of processor time, which does not depend on what
// else the machine does; waiting counts a tenth.
func (t *test) run(limit time.Duration, env ...string) (took time.Duration, out []byte, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", `ulimit -v "$0"; ulimit -t "$1"; shift; exec "$@"`,
		strconv.Itoa(memoryLimit), strconv.Itoa(int(limit.Seconds())+1),
		t.binary, "-test.run=^"+t.name+"$", "-test.failfast", "-test.timeout=1h", "-test.short="+strconv.FormatBool(t.short))
	cmd.Dir = t.pkg
	cmd.Env = slices.Concat(os.Environ(), t.env, env)
	cmd.WaitDelay = time.Second
	var buf bytes.Buffer
	cmd.Stdout, cmd.Stderr = &buf, &buf
	err = cmd.Run()
	if cmd.ProcessState != nil {
		took = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	if ctx.Err() != nil || err != nil && took >= limit {
		err = errTime
	}
	return took, buf.Bytes(), err
}

// kill holds m against the tests that reach it.
func kill(m *mutant, tests []*test) {
	m.verdict, m.killer = untested, ""
	for _, t := range tests {
		if !t.reaches[m.id] {
			continue
		}
		m.verdict = survived
		_, _, err := t.run(2*time.Second+5*t.took, envMutant+"="+strconv.Itoa(m.id))
		switch {
		case err == errTime:
			m.verdict, m.killer = hung, t.String()
			return
		case err != nil:
			m.verdict, m.killer = killed, t.String()
			return
		}
	}
}

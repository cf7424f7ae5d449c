// Package examples_test runs what the examples' READMEs say.
package examples_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// TestREADMEs runs each command of the examples' READMEs that has a prompt, and
// compares what it prints with what is printed there, where … stands for
// anything.
func TestREADMEs(t *testing.T) {
	if testing.Short() {
		t.Skip("builds commands: not in -short")
	}
	host, err := exec.Command("go", "env", "GOHOSTOS", "GOHOSTARCH").Output()
	if err != nil {
		t.Skipf("there is no go command: %v", err)
	}
	if want := runtime.GOOS + "\n" + runtime.GOARCH + "\n"; string(host) != want {
		t.Skipf("the go command is of another system (%q) than the test (%q)", host, want)
	}
	readmes, err := filepath.Glob("*/README.md")
	if err != nil || len(readmes) < 3 {
		t.Fatalf("%d READMEs: %v", len(readmes), err)
	}
	bin := t.TempDir()
	for _, name := range readmes {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		commands := find(string(text))
		if len(commands) == 0 {
			t.Errorf("%s: no command", name)
		}
		for _, c := range commands {
			t.Run(name, func(t *testing.T) { c.check(t, bin) })
		}
	}
}

// A command is a line after a prompt, and what should follow.
type command struct {
	args   []string
	output string
}

// find returns the commands in indented blocks of text, each with what follows
// until the next, or until the block ends.
func find(text string) (commands []command) {
	var open *command
	for line := range strings.Lines(text) {
		code, indented := strings.CutPrefix(line, "    ")
		args, prompt := strings.CutPrefix(code, "$ ")
		switch {
		case indented && prompt:
			commands = append(commands, command{args: strings.Fields(args)})
			open = &commands[len(commands)-1]
		case !indented && line != "\n":
			open = nil
		case open != nil:
			open.output += code
		}
	}
	return commands
}

// check runs "go run PACKAGE ARGUMENTS" or "go test PACKAGE" in the root of the
// repository.
func (c command) check(t *testing.T, bin string) {
	var run *exec.Cmd
	switch {
	case len(c.args) >= 3 && c.args[0] == "go" && c.args[1] == "run":
		program := filepath.Join(bin, filepath.Base(c.args[2])+".exe")
		build := exec.Command("go", "build", "-o", program, c.args[2])
		build.Dir = ".."
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", build, err, out)
		}
		run = exec.Command(program, c.args[3:]...)
	case len(c.args) == 3 && c.args[0] == "go" && c.args[1] == "test":
		run = exec.Command("go", c.args[1:]...)
		run.Env = append(os.Environ(), "GOFLAGS=") // as the reader's: -v says more
	default:
		t.Fatalf("%q is neither go run nor go test", c.args)
	}
	run.Dir = ".."
	var stderr strings.Builder
	run.Stderr = &stderr
	got, err := run.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", run, err, stderr.String())
	}
	want := strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(c.output)), "…", "(?s:.*)")
	if !regexp.MustCompile(`^\s*` + want + `\s*$`).Match(got) {
		t.Errorf("%s prints\n%s\nthe README has\n%s", strings.Join(c.args, " "), got, c.output)
	}
}

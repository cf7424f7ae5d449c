// Package path gives a second opinion on what the kernel's verifier refuses and
// skep accepts: from the refused path, as the kernel's log shows it, it makes a
// formula of bit vectors that holds for the inputs that take this path and then
// do what must not happen, and asks an SMT solver (z3) for such an input.
//
// It shares no domain, join or loop treatment with skep's verifier: a path has
// neither branches nor joins, and operations on bit vectors are exact. What it
// does not model it leaves open (a value that may be anything), so that
// Impossible is a proof and Possible is a question. Tests only.
package path

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"

	"github.com/skepvm/skep/prog"
)

// A Verdict is what the solver says.
type Verdict string

const (
	Impossible Verdict = "impossible" // no input does it
	Possible   Verdict = "possible"   // one may, if what is not modelled plays along
	Unknown    Verdict = "unknown"    // the path holds what the package does not know, or the solver gives up
)

// Solver is the command that reads SMT-LIB from its standard input.
//
// What it may do is counted in its own units, of which it does three million or
// so in a second: a limit in seconds would make verdicts depend on what else the
// machine does. That in seconds is for what the units do not count.
var Solver = []string{"z3", "-in", "rlimit=15000000", "-T:60"}

// Available reports why there is no second opinion; nil if there is.
func Available() error {
	_, err := exec.LookPath(Solver[0])
	return err
}

// maxSteps is the longest path that the solver is asked about.
const maxSteps = 1500

// Check asks whether a run of p can take the path that log ends with, and there
// break the rule that the log says: leave the region that an access goes to, or
// for other rules, just come there. model is an input that does, or why it is
// not known.
func Check(p *prog.Program, log string) (v Verdict, model string, err error) {
	steps, message := readLog(log)
	if len(steps) == 0 {
		return Unknown, "no path in the log", nil
	}
	if len(steps) > maxSteps {
		return Unknown, "a long path", nil
	}
	// Products and quotients are hard for the solver, and mostly do not matter.
	for _, loose := range []bool{true, false} {
		e := newExecution(p)
		e.loose = loose
		if why := e.run(steps, message); why != "" {
			return Unknown, why, nil
		}
		v, model, err = e.solve()
		if v == Impossible || err != nil || loose && !e.hard {
			break
		}
	}
	return v, model, err
}

// solve asks the solver.
func (e *execution) solve() (Verdict, string, error) {
	var text strings.Builder
	text.WriteString("(set-logic QF_ABV)\n")
	text.WriteString(e.text.String())
	text.WriteString("(check-sat)\n(get-model)\n")
	cmd := exec.Command(Solver[0], Solver[1:]...)
	cmd.Stdin = strings.NewReader(text.String())
	out, err := cmd.Output()
	answer, rest, _ := strings.Cut(string(out), "\n")
	switch strings.TrimSpace(answer) {
	case "unsat": // and an error: there is no model
		return Impossible, "", nil
	case "sat":
		return Possible, rest, nil
	case "unknown", "timeout":
		return Unknown, "the solver gives up", nil
	}
	return Unknown, "", fmt.Errorf("%s: %v: %s\n%s", strings.Join(Solver, " "), err, answer, numbered(text.String()))
}

func numbered(text string) string {
	var b strings.Builder
	for i, line := range strings.Split(text, "\n") {
		b.WriteString(strconv.Itoa(i+1) + ": " + line + "\n")
	}
	return b.String()
}

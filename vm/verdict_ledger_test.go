package vm

import (
	"bufio"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A ledger explains the verdicts that differ from the kernel's.
type ledger []*ledgerEntry

// A ledgerEntry explains a class of them.
type ledgerEntry struct {
	side   string // "kernel refuses" or "skep refuses"
	match  *regexp.Regexp
	reason string
	n      int
}

// readLedger reads lines of side, expression and reason, separated by tabs.
func readLedger(t *testing.T, file string) (l ledger) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		line := sc.Text()
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		cols := strings.Split(line, "\t")
		if len(cols) != 3 || cols[0] != "kernel refuses" && cols[0] != "skep refuses" || cols[2] == "" {
			t.Fatalf("%s: %q: want side, expression and reason", file, line)
		}
		re, err := regexp.Compile(cols[1])
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		l = append(l, &ledgerEntry{side: cols[0], match: re, reason: cols[2]})
	}
	return l
}

// explain counts the first entry that explains message, and reports whether
// there is one.
func (l ledger) explain(side, message string) bool {
	for _, e := range l {
		if e.side == side && e.match.MatchString(message) {
			e.n++
			return true
		}
	}
	return false
}

func (l ledger) log(t *testing.T) {
	for _, e := range l {
		t.Logf("%6d %s %q: %s", e.n, e.side, e.match, e.reason)
	}
}

// A refusal is what the log of the kernel's verifier says at its end.
type refusal struct {
	pc int // of the instruction that it looked at last; −1: the log names none
	// text is the message, after " at " that instruction, and after " with "
	// what the kernel knew of the registers that these two name.
	text string
}

var (
	insnLine  = regexp.MustCompile(`^(?:from \d+ to )?(\d+): (\([0-9a-f]{2}\) [^;]*)`)
	stateLine = regexp.MustCompile(`\bR(\d+)(?:_w|_r|_rw)?=([^ (]*(?:\([^ ]*\))?)`)
	register  = regexp.MustCompile(`\b[rwR](\d+)\b`)
)

// readRefusal reads a log.
func readRefusal(log string) refusal {
	r := refusal{pc: -1}
	var message []string
	insn := ""
	known := map[string]string{} // after the instruction of the line
	var before map[string]string
	for line := range strings.Lines(log) {
		line = strings.TrimSpace(line)
		m := insnLine.FindStringSubmatch(line)
		states := stateLine.FindAllStringSubmatch(line, -1)
		switch {
		case m != nil:
			r.pc, _ = strconv.Atoi(m[1])
			insn, message = strings.TrimSpace(m[2]), nil
			if i := strings.Index(insn, "infinite loop detected"); i >= 0 { // on the same line
				insn, message = strings.TrimSpace(insn[:i]), []string{insn[i:]}
			}
			before = maps.Clone(known)
		case len(states) == 0 && !strings.HasPrefix(line, "; ") && !slices.ContainsFunc(noise, func(n string) bool { return strings.HasPrefix(line, n) }) && line != "":
			message = append(message, line)
		}
		for _, s := range states {
			known[s[1]] = s[2]
		}
	}
	r.text = strings.Join(message, "; ")
	if insn != "" {
		r.text += " at " + insn
	}
	with := " with"
	var named []string
	for _, m := range register.FindAllStringSubmatch(r.text, -1) {
		if what := before[m[1]]; what != "" && !slices.Contains(named, m[1]) {
			named = append(named, m[1])
			r.text += with + " R" + m[1] + "=" + what
			with = ""
		}
	}
	return r
}

// noise begins lines of a log that are no message.
var noise = []string{"processed ", "verification time", "stack depth", "from ", "mark_precise", "arg#", "func#", "last_idx", "regs=", "parent "}

package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// equivalentsFile lists the mutants that are no faults: name, tab, reason.
// Empty lines and those that begin with # say nothing.
const equivalentsFile = "testdata/verifier/mutants.equivalent"

// readEquivalents returns the reasons by mutant. An entry that names no mutant,
// or gives no reason, is an error: the code has changed, and the argument may
// not hold any more.
func readEquivalents(path string, ms []*mutant) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	known := map[string]bool{}
	for _, m := range ms {
		known[m.name()] = true
	}
	reasons := map[string]string{}
	n := 0
	for sc := bufio.NewScanner(f); sc.Scan(); {
		n++
		line := sc.Text()
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, why, _ := strings.Cut(line, "\t")
		switch {
		case why == "":
			return nil, fmt.Errorf("%s:%d: no reason is given for %s", path, n, name)
		case !known[name]:
			return nil, fmt.Errorf("%s:%d: there is no mutant %s", path, n, name)
		case reasons[name] != "":
			return nil, fmt.Errorf("%s:%d: %s is listed twice", path, n, name)
		}
		reasons[name] = why
	}
	return reasons, nil
}

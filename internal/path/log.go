package path

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A step is one instruction of a path.
type step struct {
	pc int
	// after is what the kernel knows of registers after it, by number: "fp-8",
	// "map_value(ks=4,vs=64)".
	after map[int]string
}

var (
	insnLine = regexp.MustCompile(`^(?:from \d+ to )?(\d+): \([0-9a-f]{2}\) `)
	regState = regexp.MustCompile(`\bR(\d+)=([^ (]*(?:\([^ ]*\))?)`)
)

// noise begins lines that are neither instruction nor message.
var noise = []string{"processed ", "verification time", "stack depth", "from ", "mark_precise", "; ", "func#", "returning from callback", "to caller at", "Func#", "arg#"}

// readLog returns the path that a log of the kernel's verifier (level 1) ends
// with, and what it says of its last instruction.
func readLog(log string) (steps []step, message string) {
	var said []string
	for line := range strings.Lines(log) {
		line = strings.TrimSpace(line)
		states := map[int]string{}
		for _, m := range regState.FindAllStringSubmatch(line, -1) {
			r, _ := strconv.Atoi(m[1])
			states[r] = m[2]
		}
		if m := insnLine.FindStringSubmatch(line); m != nil {
			pc, _ := strconv.Atoi(m[1])
			steps, said = append(steps, step{pc, states}), nil
			continue
		}
		if line != "" && len(states) == 0 && !slices.ContainsFunc(noise, func(n string) bool { return strings.HasPrefix(line, n) }) {
			said = append(said, line)
		}
	}
	return steps, strings.Join(said, "; ")
}

package vm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/bpftest"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// A ledgerEntry explains a class of verdicts that differ from the kernel's.
type ledgerEntry struct {
	side   string // "kernel refuses" or "skep refuses"
	match  *regexp.Regexp
	reason string
	n      int
}

// readLedger reads lines of side, expression and reason, separated by tabs.
func readLedger(t *testing.T, file string) (l []*ledgerEntry) {
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

// TestKernelVerdicts loads generated programs and mutants of them in the kernel
// and compares the verdicts. A program that the kernel refuses and skep accepts
// must be explained in the ledger, and its runs are held against the proof; one
// that only skep refuses must be explained too.
// SKEP_DIFF_PROGS says how many programs, SKEP_DIFF_SEED where to begin.
func TestKernelVerdicts(t *testing.T) {
	oracle.Skip(t)
	n := 1000
	if testing.Short() {
		n = 150
	}
	if m, err := strconv.Atoi(os.Getenv("SKEP_DIFF_PROGS")); err == nil {
		n = m
	}
	first := uint64(1)
	if m, err := strconv.ParseUint(os.Getenv("SKEP_DIFF_SEED"), 10, 64); err == nil {
		first = m
	}
	ledger := readLedger(t, "../testdata/verifier/kernel.ledger")
	v := comparison{t: t, ledger: ledger}
	g := bpftest.Generate("xdp", 1, bpftest.Everything("xdp"))
	for _, m := range g.Maps {
		k, err := oracle.NewMap(m, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer k.Close()
		v.maps = append(v.maps, k)
	}
	start := time.Now()
	for seed := first; v.n < n && v.unexplained < 12; seed++ {
		v.program(seed)
	}
	t.Logf("%d programs: both accept %d, both refuse %d, only skep accepts %d, only the kernel accepts %d, no verdict %d; in %v",
		v.n, v.accept, v.refuse, v.more, v.less, v.none, time.Since(start).Round(time.Millisecond))
	for _, e := range ledger {
		t.Logf("%6d %s %q: %s", e.n, e.side, e.match, e.reason)
	}
}

type comparison struct {
	t      *testing.T
	ledger []*ledgerEntry
	maps   []*oracle.Map

	n, accept, refuse, more, less, none, unexplained int
}

func (v *comparison) program(seed uint64) {
	r := rand.New(rand.NewPCG(seed, 0xd1ff))
	kind, number := "xdp", uint32(oracle.XDP)
	if r.IntN(2) == 0 {
		kind, number = "sched_cls", oracle.SchedCls
	}
	o := bpftest.Everything(kind)
	o.Statements = 3 + r.IntN(14)
	for i, b := range []*bool{&o.Loops, &o.Callbacks, &o.MayGoto, &o.Subprograms, &o.Maps, &o.Packet, &o.Atomics, &o.AcquireLoad, &o.LegacyLoads} {
		*b = *b && (r.IntN(2) == 0 || i > 3 && r.IntN(2) == 0) // loops cost the kernel much
	}
	g := bpftest.Generate(kind, seed, o)
	for i := range 10 {
		insns := g.Insns
		if i > 0 {
			insns = bpftest.Mutate(g.Insns, r)
		}
		v.compare(g, insns, number, seed)
	}
}

func (v *comparison) compare(g *bpftest.Generated, insns []prog.Insn, number uint32, seed uint64) {
	p, err := prog.FromInsns("generated", linux.Platform.Type(g.Type), insns, g.Maps)
	if err != nil {
		return
	}
	v.n++
	proof, _, ours := verifier.Verify(context.Background(), p, verifier.Options{Invariants: true, MaxVisits: 200_000, MaxTime: 5 * time.Second, MaxWorstCase: 1 << 62})
	opts := oracle.LoadOptions{Type: number, Insns: insns, Maps: v.maps, NoLog: true}
	k, _, theirs := oracle.Load(opts)
	if theirs == nil {
		k.Close()
	}
	var e *verifier.Error
	errors.As(ours, &e)
	switch {
	case errors.Is(theirs, errno.E2BIG) || errors.Is(theirs, errno.ENOMEM) || e != nil && e.Code == verifier.Limit:
		v.none++
	case ours == nil && theirs == nil:
		v.accept++
	case ours != nil && theirs != nil:
		v.refuse++
	case ours == nil:
		opts.NoLog = false
		_, log, _ := oracle.Load(opts)
		message := lastLines(log)
		if strings.Contains(message, "jumps is too complex") {
			v.none++
			return
		}
		v.more++
		if at := lastInsn(log); at >= 0 && !proof.Fact(prog.PC(at)).Reached {
			message = "proven dead: " + message
		}
		if err := v.run(g, p, proof, seed); err != nil {
			v.unexplained++
			v.t.Errorf("seed %d: %v; and the kernel refuses: %s\n%s", seed, err, message, insnText(insns))
			return
		}
		v.explain("kernel refuses", message, seed, insns)
	default:
		v.less++
		v.explain("skep refuses", fmt.Sprintf("%s: %v", e.Code, e), seed, insns)
	}
}

// run holds runs of a program that the kernel refuses against the proof.
func (v *comparison) run(g *bpftest.Generated, p *prog.Program, proof *verifier.Verified, seed uint64) error {
	r := rand.New(rand.NewPCG(seed, 0xbad))
	coll, err := LoadProgram(p, Options{Host: helpers.Host{Random: r.Uint32}, AllowUninitStack: true})
	if err != nil {
		return nil // a helper that nothing implements, on a path proven dead
	}
	defer coll.Close()
	for range 25 {
		if _, err := watchRun(coll.programs[p.Name], proof, hostilePackets(r, g.Packet), r); err != nil {
			return err
		}
	}
	return nil
}

func (v *comparison) explain(side, message string, seed uint64, insns []prog.Insn) {
	for _, e := range v.ledger {
		if e.side == side && e.match.MatchString(message) {
			e.n++
			return
		}
	}
	v.unexplained++
	v.t.Errorf("seed %d: %s: %s\n%s", seed, side, message, insnText(insns))
}

// lastInsn returns the instruction that the kernel looked at last; -1 if the
// log names none.
func lastInsn(log string) int {
	at := -1
	for _, m := range insnLine.FindAllStringSubmatch(log, -1) {
		at, _ = strconv.Atoi(m[1])
	}
	return at
}

var insnLine = regexp.MustCompile(`(?m)^(?:from \d+ to )?(\d+): \(`)

// lastLines returns what the kernel says at the end of its log, without the
// statistics.
func lastLines(log string) string {
	lines := slices.DeleteFunc(strings.Split(log, "\n"), func(l string) bool {
		return l == "" || strings.HasPrefix(l, "processed ") || strings.HasPrefix(l, "verification time") || strings.HasPrefix(l, "stack depth")
	})
	return strings.Join(lines[max(0, len(lines)-4):], "\n")
}

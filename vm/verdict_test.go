package vm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
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
	"github.com/skepvm/skep/internal/checked"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/internal/path"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// TestKernelVerdicts gives programs to the kernel and to skep and compares the
// verdicts: generated ones, those of objects, those that clang makes of
// generated C, and mutants of all that both accept. A program that the kernel
// refuses and skep accepts must be explained in the ledger, and its runs are
// held against the proof; one that only skep refuses must be explained too.
//
// SKEP_DIFF_PROGS says how many programs of each source, SKEP_DIFF_SEED where
// to begin, SKEP_DIFF_OBJECTS in which directories, separated by colons, to
// find more objects than the project's own, and SKEP_DIFF_KEEP in which to leave
// each program on which the verdicts differ.
func TestKernelVerdicts(t *testing.T) {
	oracle.Skip(t)
	if err := path.Available(); err != nil {
		t.Skipf("no second opinion: %v", err)
	}
	n := 160
	if testing.Short() {
		n = 60
	}
	if m, err := strconv.Atoi(os.Getenv("SKEP_DIFF_PROGS")); err == nil {
		n = m
	}
	first := uint64(1)
	if m, err := strconv.ParseUint(os.Getenv("SKEP_DIFF_SEED"), 10, 64); err == nil {
		first = m
	}
	ledger := readLedger(t, "../testdata/verifier/kernel.ledger")
	total := tally{}
	for _, source := range []struct {
		name string
		fill func(v *comparison, n int, seed uint64)
	}{
		{"generated", generatedPrograms}, {"objects", objectPrograms}, {"compiled", compiledPrograms},
	} {
		t.Run(source.name, func(t *testing.T) {
			v := &comparison{t: t, ledger: ledger}
			start := time.Now()
			source.fill(v, n, first)
			t.Logf("%v; in %v", &v.tally, time.Since(start).Round(time.Millisecond))
			total.add(&v.tally)
			if v.programs < n/2 {
				t.Errorf("only %d of %d programs", v.programs, n)
			}
		})
	}
	t.Logf("all: %v", &total)
	ledger.log(t)
}

// A tally counts verdicts. programs is the sum of those that follow it, bases
// and mutants.
type tally struct {
	programs                   int
	accept, refuse, more, less int
	none                       int // one of the two reached a limit
	bases                      int // the programs that are not mutants
	ran                        int // of more: runs executed what the kernel refuses
	unlinked                   int // refused by the linker, not counted as programs
	unexplained                int

	impossible, possible, unknown int // of more: what the solver says of the kernel's path
	agreed, dissented             int // the solver on a sample of refuse: possible, impossible
}

func (c *tally) add(o *tally) {
	for _, f := range [][2]*int{
		{&c.programs, &o.programs}, {&c.accept, &o.accept}, {&c.refuse, &o.refuse}, {&c.more, &o.more}, {&c.less, &o.less},
		{&c.none, &o.none}, {&c.bases, &o.bases}, {&c.ran, &o.ran}, {&c.unlinked, &o.unlinked}, {&c.unexplained, &o.unexplained},
		{&c.impossible, &o.impossible}, {&c.possible, &o.possible}, {&c.unknown, &o.unknown}, {&c.agreed, &o.agreed}, {&c.dissented, &o.dissented},
	} {
		*f[0] += *f[1]
	}
}

func (c *tally) String() string {
	return fmt.Sprintf("%d programs (%d not mutants): both accept %d, both refuse %d, only skep accepts %d (runs reach what the kernel refuses in %d; its path is impossible in %d, possible in %d, unknown in %d), only the kernel accepts %d, no verdict %d; unexplained %d; %d did not link; of what both refuse, %d paths are possible and %d not",
		c.programs, c.bases, c.accept, c.refuse, c.more, c.ran, c.impossible, c.possible, c.unknown, c.less, c.none, c.unexplained, c.unlinked, c.agreed, c.dissented)
}

type comparison struct {
	t      *testing.T
	ledger ledger
	tally
}

// full reports whether n programs were compared, or too many differ to look at.
func (v *comparison) full(n int) bool {
	return v.programs >= n || v.unexplained >= 12 && os.Getenv("SKEP_DIFF_KEEP") == ""
}

// A subject is a program that both can load.
type subject struct {
	bpftest.Generated
	name   string // says how to make it again
	number uint32 // of its type in the kernel
	maps   []*oracle.Map
}

// kernelTime is how long the kernel may take for one verdict.
const kernelTime = 200 * time.Millisecond

// compare asks both about insns in the place of s's. quick says that both accept
// and the kernel is not busy with it for long, so that mutants are worthwhile.
func (v *comparison) compare(s *subject, insns []prog.Insn) (quick bool) {
	p, err := s.Link(linux.Platform, insns)
	numbered := slices.Clone(insns)
	if err != nil || oracle.Kfuncs(numbered, bpftest.GenKfuncs) != nil {
		v.unlinked++
		return false
	}
	v.programs++
	o := verifier.Options{MaxVisits: 100_000, MaxTime: time.Minute, MaxWorstCase: 1 << 62}
	_, _, ours := verifier.Verify(context.Background(), p, o)
	opts := oracle.LoadOptions{Type: s.number, Insns: numbered, Maps: s.maps, NoLog: true, Within: kernelTime}
	start := time.Now()
	k, _, theirs := oracle.Load(opts)
	took := time.Since(start)
	if theirs == nil {
		k.Close()
	}
	var e *verifier.Error
	errors.As(ours, &e)
	switch {
	case errors.Is(theirs, errno.E2BIG), errors.Is(theirs, errno.ENOMEM), errors.Is(theirs, errno.EAGAIN), e != nil && e.Code == verifier.Limit:
		v.none++
	case ours == nil && theirs == nil:
		v.accept++
		return took < kernelTime/10
	case ours != nil && theirs != nil:
		v.refuse++
		if v.refuse%20 == 0 { // how good the second opinion is
			opts.NoLog = false
			_, log, _ := oracle.Load(opts)
			switch v.secondOpinion(s, p, log) {
			case "possible: ":
				v.agreed++
			case "impossible: ":
				v.dissented++
			}
		}
	case ours == nil:
		opts.NoLog = false
		_, log, err := oracle.Load(opts)
		refusal := readRefusal(log)
		if errors.Is(err, errno.EAGAIN) || strings.Contains(refusal.text, "jumps is too complex") {
			v.none++
			return false
		}
		v.more++
		o.Invariants = true
		proof, _, err := verifier.Verify(context.Background(), p, o)
		if err != nil {
			v.t.Errorf("%s: accepted, and then not: %v", s.name, err)
			return false
		}
		reached, err := v.run(s, p, proof, refusal.pc)
		if err != nil {
			v.unexplained++
			v.t.Errorf("%s: %v; and the kernel refuses: %s\n%s", s.name, err, refusal.text, insnText(insns))
			return false
		}
		if reached {
			v.ran++
		}
		if refusal.pc >= 0 && !proof.Fact(prog.PC(refusal.pc)).Reached {
			refusal.text = "proven dead: " + refusal.text
		}
		if reached {
			refusal.text = "ran: " + refusal.text
		}
		opinion := ""
		if !settled.MatchString(refusal.text) {
			opinion = v.secondOpinion(s, p, log)
			switch {
			case strings.HasPrefix(opinion, "impossible"):
				v.impossible++
			case strings.HasPrefix(opinion, "possible"):
				v.possible++
			default:
				v.unknown++
			}
		}
		refusal.text = opinion + refusal.text
		v.explain("kernel refuses", refusal.text, s, insns, log)
	default:
		v.less++
		message := fmt.Sprintf("%s: %v", e.Code, e)
		if halves(p, o) {
			message = "half of a pointer: " + message
		}
		v.explain("skep refuses", message, s, insns, "")
	}
	return false
}

// halves reports whether p compares the lower half of a pointer with 0.
func halves(p *prog.Program, o verifier.Options) (found bool) {
	o.Observe = func(pc prog.PC, known fmt.Stringer) {
		in := p.Insns[pc]
		if op := in.Op.JmpOp(); in.Op.Class() != isa.JMP32 || op != isa.JEq && op != isa.JNe || in.Op.Source() != isa.K || in.Imm != 0 {
			return
		}
		pointer := regexp.MustCompile(fmt.Sprintf(`\bR%d=(ctx|fp|pkt|map|mem|ringbuf|sock|func)`, in.Dst))
		found = found || pointer.MatchString(known.String())
	}
	_, _, _ = verifier.Verify(context.Background(), p, o)
	return found
}

// border compares n small changes of s, which both accept.
func (v *comparison) border(s *subject, n int, r *rand.Rand) {
	name := s.name
	for i := range n {
		insns, what := bpftest.Border(s.Insns, r)
		s.name = fmt.Sprintf("%s, mutant %d (%s)", name, i, what)
		v.compare(s, insns)
	}
	s.name = name
}

// run holds runs of a program that the kernel refuses against the proof, and
// reports whether they came to instruction at.
func (v *comparison) run(s *subject, p *prog.Program, proof *verifier.Verified, at int) (reached bool, err error) {
	r := rand.New(rand.NewPCG(s.Seed, 0xbad))
	coll, err := LoadProgram(p, Options{Host: helpers.Host{Random: r.Uint32, Now: func(helpers.Clock) uint64 { return r.Uint64() >> r.IntN(64) }}, AllowUninitStack: true})
	if err != nil {
		return false, nil // a helper that nothing implements
	}
	defer coll.Close()
	fillInner(coll)
	words := bpftest.Constants(p.Insns)
	loaded := coll.programs[p.Name]
	for range 25 {
		w := newWatcher(r, &watched{v: proof, p: loaded})
		w.before = func(_ *checked.Code, pc int, _ *[16]uint64) { reached = reached || pc == at }
		if err := w.run(s.input(loaded, r, words)); err != nil {
			return reached, err
		}
	}
	return reached, nil
}

// settled are refusals that are not about what a path can do.
var settled = regexp.MustCompile(`invalid shift|div by zero|subtraction from stack pointer|verifier bug|invalid size of register`)

// secondOpinion asks a solver whether an input can do on the kernel's path what
// the kernel refuses, and returns the answer as the beginning of a message.
func (v *comparison) secondOpinion(s *subject, p *prog.Program, log string) string {
	answer, model, err := path.Check(p, log)
	if err != nil {
		v.t.Errorf("%s: %v", s.name, err)
	}
	if answer == path.Unknown {
		return fmt.Sprintf("unknown (%s): ", model)
	}
	return string(answer) + ": "
}

// input returns something to run p, which is s, on.
func (s *subject) input(p *Program, r *rand.Rand, words []uint32) any {
	switch {
	case p.hasPacket && r.IntN(2) == 0:
		return hostilePackets(r, s.Packet)
	case p.hasPacket:
		return bpftest.Frame(r, words)
	}
	b := make([]byte, p.typ.Ctx.Size)
	for i := range b {
		b[i] = byte(r.Uint32() >> r.IntN(32))
	}
	return b
}

// explain looks for the class of a difference in the ledger. SKEP_DIFF_KEEP names
// a directory for all of them.
func (v *comparison) explain(side, message string, s *subject, insns []prog.Insn, log string) {
	explained := v.ledger.explain(side, message)
	if dir := os.Getenv("SKEP_DIFF_KEEP"); dir != "" {
		name := strings.Map(func(c rune) rune {
			if strings.ContainsRune(" /(),:", c) {
				return '_'
			}
			return c
		}, s.name)
		text := fmt.Sprintf("%v %s: %s\n%s%s", explained, side, message, insnText(insns), log)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			v.t.Error(err)
		}
	}
	if !explained {
		v.unexplained++
		v.t.Errorf("%s: %s: %s\n%s", s.name, side, message, insnText(insns))
	}
}

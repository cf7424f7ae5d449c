package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

type verifyFlags struct {
	objectFlags
	strict         bool
	allowUnbounded bool
	json           bool
	dump           []string
}

func newVerify(s streams) *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify FILE.o…",
		Short: "Prove that programs are safe, or say what is wrong with them",
		Long: `Verifies every program of the objects: that it touches only its own memory, calls
what its type may call, releases what it takes, returns what its hook allows,
and ends. For a program that is not accepted it prints where in C, what the
check found, and what would fix it.

The default rules are the kernel's for a privileged loader, and every loop must
have a proven bound. --strict also refuses programs that let addresses escape
or read memory that was never written; --allow-unbounded accepts loops whose
end is not proven.

With --json, one object per program:

  object, section   where the program comes from
  program, type     its name, and its type: empty if the section names none
  verdict           accept; reject: a rule is broken; limit: not decided within
                    the limits on work; error: it cannot be linked, or has no
                    type (give one with --type)
  code              the rule (skep verify prints what it asks); empty if accepted
                    or not verified
  pc, file, line    where: the 8-byte slot in the program, and the C source;
                    null or empty if not known
  message           the failed check, with the values that failed it
  insns             instructions visited, each as often as it was: what the
                    kernel calls processed insns
  states            states stored at once, at most
  peak_bytes        their memory
  time_ns           time the proof took
  worst_case_insns  instructions a run may execute; null if not proven

An object that cannot be read has one line with verdict error and no program.

--dump prints more, for people:

  invariants  before each instruction, what is known of registers and stack on
              the paths that lead there, in the notation of the kernel's log
  cfg         the control flow, block by block
  dot         the same as a graph for Graphviz; verdicts then go to standard
              error
  path        every decision on the path to the rejection, not only the last

Exit codes: 0 all programs were accepted, 1 one was rejected or not decided, 2
bad usage or input.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage{errors.New("at least one object file is needed"), cmd.CommandPath()}
			}
			err := checkDumps(f.dump)
			if err == nil && f.json && len(f.dump) > 0 {
				err = errors.New("--json and --dump exclude each other")
			}
			if err != nil {
				return usage{err, cmd.CommandPath()}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			v := &verification{s: s, flags: &f}
			for _, name := range args {
				if err := v.object(cmd.Context(), name); err != nil {
					return err
				}
			}
			return v.result()
		},
	}
	f.register(cmd)
	g := cmd.Flags()
	g.BoolVar(&f.strict, "strict", false, "rules for programs of strangers: no address escapes, nothing uninitialised is read")
	g.BoolVar(&f.allowUnbounded, "allow-unbounded", false, "accept loops whose end is not proven")
	g.StringSliceVar(&f.dump, "dump", nil, "print `WHAT`: invariants, cfg, path, dot (several with commas)")
	g.BoolVar(&f.json, "json", false, "one JSON object per program")
	return cmd
}

// A verdict is what verification says of one program.
type verdict string

const (
	accepted verdict = "accept"
	rejected verdict = "reject"
	limited  verdict = "limit"
	broken   verdict = "error"
)

// A verification goes through objects and counts verdicts.
type verification struct {
	s       streams
	flags   *verifyFlags
	refused int // programs rejected or not decided
	broken  int // programs and objects that could not be verified
	total   int
}

// result returns the error that the exit code follows from.
func (v *verification) result() error {
	switch {
	case v.refused > 0:
		return refused{fmt.Errorf("%d of %s not accepted", v.refused+v.broken, plural(v.total, "program", "programs"))}
	case v.broken > 0:
		return fmt.Errorf("%d of %s cannot be verified", v.broken, plural(v.total, "program", "programs"))
	case v.total == 0:
		return errors.New("no program to verify")
	}
	return nil
}

// object verifies the programs of one file. An error means that nothing more
// can be printed.
func (v *verification) object(ctx context.Context, name string) error {
	obj, err := v.flags.open(name)
	if err != nil {
		return v.report(&outcome{Object: name, Verdict: broken, Message: message(err)})
	}
	for _, spec := range obj.Programs {
		if v.flags.program != "" && spec.Name != v.flags.program {
			continue
		}
		if err := v.report(v.program(ctx, name, obj, spec)); err != nil {
			return err
		}
	}
	return nil
}

// An outcome is what --json prints of a program.
type outcome struct {
	Object    string        `json:"object"`
	Section   string        `json:"section"`
	Program   string        `json:"program"`
	Type      string        `json:"type"`
	Verdict   verdict       `json:"verdict"`
	Code      verifier.Code `json:"code"`
	PC        *prog.PC      `json:"pc"`
	File      string        `json:"file"`
	Line      *int          `json:"line"`
	Message   string        `json:"message"`
	Insns     int64         `json:"insns"`
	States    int           `json:"states"`
	PeakBytes int64         `json:"peak_bytes"`
	TimeNs    int64         `json:"time_ns"`
	WorstCase *int64        `json:"worst_case_insns"`

	stats verifier.Stats
	err   *verifier.Error
	prog  *prog.Program // nil if it was not verified
	known *invariants   // with --dump=invariants
}

// program verifies one program.
func (v *verification) program(ctx context.Context, name string, obj *prog.Object, spec *prog.Spec) *outcome {
	o := &outcome{Object: name, Section: spec.Section, Program: spec.Name, Verdict: broken}
	if spec.Type != nil {
		o.Type = spec.Type.Name
	}
	p, err := obj.Link(spec)
	if err != nil {
		o.Message = err.Error()
		if le := (*prog.Error)(nil); errors.As(err, &le) {
			if le.HasInsn {
				o.PC = &le.PC
			}
			o.place(le.Line)
		}
		return o
	}
	if p.Type == nil {
		o.Message = fmt.Sprintf("section %q means no program type; give one with --type", spec.Section)
		return o
	}
	o.prog = p
	opts := verifier.Options{Strict: v.flags.strict, AllowUnbounded: v.flags.allowUnbounded}
	if v.dumps("invariants") {
		o.known = newInvariants(p)
		opts.Observe = o.known.observe
	}
	_, o.stats, err = verifier.Verify(ctx, p, opts)
	o.Insns, o.States, o.PeakBytes, o.TimeNs = o.stats.Visits, o.stats.States, o.stats.Bytes, o.stats.Time.Nanoseconds()
	switch {
	case err == nil:
		o.Verdict = accepted
		if o.stats.WorstCase >= 0 {
			o.WorstCase = &o.stats.WorstCase
		}
	case errors.As(err, &o.err):
		o.Verdict, o.Code, o.PC, o.Message = rejected, o.err.Code, &o.err.PC, o.err.Msg
		if o.Code == verifier.Limit {
			o.Verdict = limited
		}
		o.place(o.err.Line)
	default:
		o.Message = err.Error()
	}
	return o
}

func (o *outcome) place(l prog.Line) {
	if o.File = l.File; l.Num != 0 {
		o.Line = &l.Num
	}
}

// report counts and prints the outcome.
func (v *verification) report(o *outcome) error {
	v.total++
	switch o.Verdict {
	case rejected, limited:
		v.refused++
	case broken:
		v.broken++
	}
	if v.flags.json {
		return writeJSON(v.s.out, o)
	}
	w := v.s.out
	if v.dumps("dot") {
		w = v.s.err
		if o.prog != nil {
			printDOT(v.s.out, o.prog)
		}
	}
	if err := o.print(w); err != nil || o.prog == nil {
		return err
	}
	if v.dumps("path") && o.err != nil {
		fmt.Fprint(w, "  whole"+strings.TrimPrefix(o.err.ExplainPath(), " "))
	}
	if v.dumps("cfg") {
		printGraph(w, o.prog)
	}
	if o.known != nil {
		o.known.print(w, o.prog)
	}
	return nil
}

// dumps reports whether --dump asks for what.
func (v *verification) dumps(what string) bool { return slices.Contains(v.flags.dump, what) }

// print writes the outcome for people.
func (o *outcome) print(w io.Writer) (err error) {
	if o.Program == "" {
		_, err = fmt.Fprintf(w, "error   %s\n", o.Message)
		return err
	}
	who := o.Object + ": " + o.Program
	switch o.Verdict {
	case accepted:
		bound := "no proven bound"
		if o.WorstCase != nil {
			bound = fmt.Sprintf("at most %d instructions per run", *o.WorstCase)
		}
		_, err = fmt.Fprintf(w, "accept  %s (%s): %s (proof: %d insns visited, %d states, %.1f kB, %v)\n",
			who, o.Type, bound, o.Insns, o.States, float64(o.PeakBytes)/1000, o.stats.Time)
	case broken:
		_, err = fmt.Fprintf(w, "error   %s: %s\n", who, o.Message)
	default:
		_, err = fmt.Fprintf(w, "%-7s %s: %s", o.Verdict, o.Object, o.err.Explain())
	}
	return err
}

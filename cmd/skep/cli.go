package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/spf13/cobra"
)

// Exit codes. Scripts rely on them.
const (
	exitOK      = 0
	exitRefused = 1 // a program faulted, or was refused
	exitUsage   = 2 // bad usage or bad input
)

// streams is what a command reads and writes. Results go to out, complaints
// and progress to err.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// A refused error says that a program faulted or was refused, which is an
// answer and no mistake of the user: the exit code is 1. Every other error
// means bad usage or input.
type refused struct{ err error }

func (e refused) Error() string { return e.err.Error() }
func (e refused) Unwrap() error { return e.err }

// A usage error is a mistake in how the command line is written.
type usage struct {
	err     error
	command string // "skep run"
}

func (e usage) Error() string {
	return fmt.Sprintf("%v; %s --help says more", e.err, e.command)
}
func (e usage) Unwrap() error { return e.err }

// execute runs the command line args, until ctx ends, and returns the exit code.
func execute(ctx context.Context, args []string, s streams) int {
	root := newRoot(s)
	root.SetArgs(append([]string{}, args...)) // nil would mean those of the process
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if f, ok := s.out.(interface{ Flush() error }); ok {
		f.Flush() // so that a complaint comes after what it is about
	}
	fmt.Fprintf(s.err, "skep: %s\n", message(err))
	if errors.As(err, new(refused)) {
		return exitRefused
	}
	return exitUsage
}

// message returns err's text. A missing file is said the same way on every
// system.
func message(err error) string {
	if path := (*fs.PathError)(nil); errors.As(err, &path) && errors.Is(err, fs.ErrNotExist) {
		return path.Path + ": no such file"
	}
	return err.Error()
}

func newRoot(s streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "skep",
		Short: "Run and inspect eBPF objects without a kernel",
		Long: `skep runs and inspects eBPF objects: no kernel, no root, any OS.

Exit codes: 0 success, 1 a program faulted or was refused, 2 bad usage or input.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		CompletionOptions: cobra.CompletionOptions{
			HiddenDefaultCmd: true,
		},
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage{fmt.Errorf("unknown command %q", args[0]), cmd.CommandPath()}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage{err, cmd.CommandPath()}
	})
	root.AddCommand(newRun(s), newInspect(s), newDisasm(s), newAsm(s), newConformance(s), newVerify(s))
	return root
}

// oneObject is the rule for commands that take an object file.
func oneObject(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage{fmt.Errorf("one object file is needed, not %d", len(args)), cmd.CommandPath()}
	}
	return nil
}

package main

import (
	"errors"
	"fmt"
	"io"

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

// execute runs the command line args and returns the exit code.
func execute(args []string, s streams) int {
	root := newRoot(s)
	root.SetArgs(args)
	err := root.Execute()
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(s.err, "skep: %v\n", err)
	if errors.As(err, new(refused)) {
		return exitRefused
	}
	return exitUsage
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
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	return root
}

// Command skep runs and inspects eBPF objects without a kernel.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	out := bufio.NewWriterSize(os.Stdout, 1<<16)
	code := execute(ctx, os.Args[1:], streams{in: os.Stdin, out: out, err: os.Stderr})
	if err := out.Flush(); err != nil {
		fmt.Fprintf(os.Stderr, "skep: %v\n", err)
		code = max(code, exitRefused)
	}
	os.Exit(code)
}

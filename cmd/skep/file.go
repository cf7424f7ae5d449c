package main

import (
	"fmt"
	"io"
	"os"
)

// maxInput is how many bytes a file may have that is read whole: what elf.Open
// takes.
const maxInput = 64 << 20

// readFile returns what the file called name holds, at most maxInput bytes.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(name, f)
}

// readAll returns what r holds, at most maxInput bytes; name stands for it in
// messages.
func readAll(name string, r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxInput+1))
	if err == nil && len(b) > maxInput {
		return nil, fmt.Errorf("%s: larger than %d MiB", name, maxInput>>20)
	}
	return b, err
}

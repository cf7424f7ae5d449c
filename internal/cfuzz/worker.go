package main

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"
)

// A request has one of the two.
type request struct {
	Job   *job
	Batch *batch
}

type reply struct {
	Outcomes []outcome
	Err      string
}

// A runner does what is asked for.
type runner interface {
	do(q request) ([]outcome, error)
}

// here does it in this process.
type here struct{}

func (here) do(q request) ([]outcome, error) {
	if q.Job != nil {
		return q.Job.do()
	}
	return q.Batch.do()
}

// A worker is a process that does it: machine code may end it.
type worker struct {
	args []string
	cmd  *exec.Cmd
	said *beginning
	in   io.Closer
	enc  *gob.Encoder
	dec  *gob.Decoder
}

// answer does what r asks for until that ends.
func answer(r io.Reader, w io.Writer) error {
	dec, enc := gob.NewDecoder(r), gob.NewEncoder(w)
	for {
		var q request
		if err := dec.Decode(&q); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		all, err := here{}.do(q)
		a := reply{Outcomes: all}
		if err != nil {
			a.Err = err.Error()
		}
		if err := enc.Encode(a); err != nil {
			return err
		}
	}
}

var errEnded = errors.New("the process ended")

// patience is how long a worker may take.
const patience = 10 * time.Minute

// do has the process do q. If that ends, or takes too long, the error is errEnded,
// and the next q finds a new one.
func (w *worker) do(q request) ([]outcome, error) {
	if w.cmd == nil {
		if err := w.start(); err != nil {
			return nil, err
		}
	}
	process := w.cmd.Process
	late := time.AfterFunc(patience, func() { process.Kill() })
	defer late.Stop()
	var a reply
	err := w.enc.Encode(q)
	if err == nil {
		err = w.dec.Decode(&a)
	}
	if err != nil {
		w.in.Close()
		err = fmt.Errorf("%w: %w: %s", errEnded, errors.Join(err, w.cmd.Wait()), w.said)
		w.cmd = nil
		return nil, err
	}
	if a.Err != "" {
		return a.Outcomes, errors.New(a.Err)
	}
	return a.Outcomes, nil
}

func (w *worker) start() error {
	cmd := exec.Command(w.args[0], w.args[1:]...)
	w.said = &beginning{}
	cmd.Stderr = w.said
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	w.cmd, w.in, w.enc, w.dec = cmd, in, gob.NewEncoder(in), gob.NewDecoder(out)
	return nil
}

// A beginning keeps the first of what a process that ends has to say.
type beginning struct{ text []byte }

func (b *beginning) Write(p []byte) (int, error) {
	b.text = append(b.text, p[:min(len(p), 400-len(b.text))]...)
	return len(p), nil
}

func (b *beginning) String() string { return string(b.text) }

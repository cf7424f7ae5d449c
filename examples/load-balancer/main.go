// Command load-balancer runs a layer 4 load balancer over a capture: balancer.c
// picks a backend for each packet to a virtual address and encapsulates it; Go
// code computes the consistent hash, reads the counters, and gets an event when
// a connection begins or ends.
//
//	go run ./examples/load-balancer -config examples/load-balancer/testdata/config.json examples/load-balancer/testdata/traffic.pcap
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/skepvm/skep/vm"
)

type options struct {
	config string
	json   bool
	events bool
	write  string
	engine vm.Engine
}

func main() {
	var o options
	flag.StringVar(&o.config, "config", "", "read services and backends from `FILE`")
	flag.BoolVar(&o.json, "json", false, "print one JSON object per line: events, then the counters")
	flag.BoolVar(&o.events, "events", false, "print events")
	flag.StringVar(&o.write, "write", "", "write what leaves the balancer to `FILE`, a capture")
	flag.Func("engine", "run the program in `jit`, interp or checked", func(s string) (err error) {
		o.engine, err = vm.ParseEngine(s)
		return err
	})
	flag.Parse()
	if flag.NArg() != 1 || o.config == "" {
		fmt.Fprintln(os.Stderr, "usage: load-balancer -config FILE [flags] FILE.pcap")
		flag.PrintDefaults()
		os.Exit(2)
	}
	if err := run(os.Stdout, o, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "load-balancer:", err)
		os.Exit(1)
	}
}

// run balances the packets of a capture, at the times it says they came.
func run(w io.Writer, o options, capture string) error {
	settings, vips, err := readConfig(o.config)
	if err != nil {
		return err
	}
	frames, err := readPcap(capture)
	if err != nil {
		return err
	}
	var now uint64
	settings.Now = func() uint64 { return now }
	b, err := New(settings, o.engine)
	if err != nil {
		return err
	}
	defer b.Close()
	for _, v := range vips {
		if err := b.Set(v); err != nil {
			return err
		}
	}

	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	events := make(chan error, 1)
	go func() { events <- b.Events(ctx, printer(w, o)) }()
	var sent []frame
	for i, f := range frames {
		now = uint64(f.time.UnixNano())
		p := vm.NewPacket(f.data, Headroom, 0)
		verdict, err := b.Balance(p)
		if err != nil {
			return fmt.Errorf("%s: packet %d: %w", capture, i, err)
		}
		if verdict == xdpTX && o.write != "" {
			sent = append(sent, frame{f.time, bytes.Clone(p.Data())})
		}
	}
	stop()
	if err := <-events; err != nil {
		return err
	}
	if o.write != "" {
		if err := writeFile(o.write, sent); err != nil {
			return err
		}
	}
	r, err := b.Report()
	if err != nil {
		return err
	}
	if o.json {
		return json.NewEncoder(w).Encode(r)
	}
	return r.print(w)
}

const xdpTX = 3 // enum xdp_action

func printer(w io.Writer, o options) func(Event) {
	enc := json.NewEncoder(w)
	return func(e Event) {
		switch {
		case o.json:
			_ = enc.Encode(e) // what cannot be written now, the report cannot either
		case o.events:
			fmt.Fprintln(w, e)
		}
	}
}

func writeFile(name string, frames []frame) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := writePcap(f, frames); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

func (r *Report) print(w io.Writer) error {
	var b strings.Builder
	row := func(name string, c Counter, more string) {
		fmt.Fprintf(&b, "%-24s %8d %10d%s\n", name, c.Packets, c.Bytes, more)
	}
	fmt.Fprintf(&b, "%-24s %8s %10s\n", "OUTCOME", "PACKETS", "BYTES")
	for o := range numOutcomes {
		if c := r.Outcomes[o.String()]; c.Packets > 0 {
			row(o.String(), c, "")
		}
	}
	for _, s := range r.Services {
		fmt.Fprintf(&b, "\n%s, %d connections began\n", s.Service, s.Opened)
		for _, be := range s.Backends {
			row(be.Addr.String(), be.Counter, fmt.Sprintf(" %7.1f%%", 100*float64(be.Packets)/float64(max(s.Packets, 1))))
		}
		row("all", s.Counter, "")
	}
	if r.LostEvents > 0 {
		fmt.Fprintf(&b, "\n%d events were lost\n", r.LostEvents)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

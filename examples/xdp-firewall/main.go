// Command xdp-firewall runs an XDP firewall over a capture: filter.c decides
// about each packet, Go code gives it rules, reads its counters, and gets an
// event for each packet that it drops.
//
//	go run ./examples/xdp-firewall -block 203.0.113.0/24 -close udp/8125 examples/xdp-firewall/testdata/traffic.pcap
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/skepvm/skep/vm"
)

func main() {
	var blocked, closed []string
	list := func(to *[]string) func(string) error {
		return func(s string) error { *to = append(*to, s); return nil }
	}
	flag.Func("block", "drop packets from `PREFIX` of 8, 16, 24 or 32 bits", list(&blocked))
	flag.Func("close", "drop packets to `tcp|udp/PORT`", list(&closed))
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: xdp-firewall [-block PREFIX] [-close PROTO/PORT] FILE.pcap")
		os.Exit(2)
	}
	if err := run(os.Stdout, flag.Arg(0), blocked, closed); err != nil {
		fmt.Fprintln(os.Stderr, "xdp-firewall:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, capture string, blocked, closed []string) error {
	fw, err := New()
	if err != nil {
		return err
	}
	defer fw.Close()
	for _, s := range blocked {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return err
		}
		if err := fw.Block(p); err != nil {
			return err
		}
	}
	for _, s := range closed {
		proto, port, err := parsePort(s)
		if err != nil {
			return err
		}
		if err := fw.ClosePort(proto, port); err != nil {
			return err
		}
	}

	packets, err := readPcap(capture)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	events := make(chan error, 1)
	go func() {
		events <- fw.Events(ctx, func(e Event) { fmt.Fprintln(w, e) })
	}()
	for i, data := range packets {
		if _, err := fw.Filter(vm.NewPacket(data, 256, 0)); err != nil {
			return fmt.Errorf("%s: packet %d: %w", capture, i, err)
		}
	}
	stop()
	if err := <-events; err != nil {
		return err
	}

	counters, err := fw.Counters()
	if err != nil {
		return err
	}
	fmt.Fprintln(w)
	for reason, c := range counters {
		fmt.Fprintf(w, "%-10v %4d packets %7d bytes\n", Reason(reason), c.Packets, c.Bytes)
	}
	return nil
}

func parsePort(s string) (proto uint16, port uint16, err error) {
	name, number, _ := strings.Cut(s, "/")
	switch name {
	case "tcp":
		proto = 6
	case "udp":
		proto = 17
	default:
		return 0, 0, fmt.Errorf("%q is no tcp/PORT or udp/PORT", s)
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return 0, 0, fmt.Errorf("%q is no tcp/PORT or udp/PORT", s)
	}
	return proto, uint16(n), nil
}

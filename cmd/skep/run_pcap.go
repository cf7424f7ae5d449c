package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/vm"
)

// A tally counts the packets of a capture by what the program returned.
type tally struct {
	byValue map[int64]*count
	faults  count
	first   error // of the faults
	all     count
	running time.Duration // spent in the program
}

type count struct {
	r0             uint64
	packets, bytes int64
}

func (c *count) add(n int) {
	c.packets++
	c.bytes += int64(n)
}

// runCapture runs the program on each packet of the capture.
func (r *session) runCapture(ctx context.Context) (err error) {
	if t := r.prog.Type(); t.Input != hook.InputPacket {
		return fmt.Errorf("--pcap: program %s has type %s, which takes no packet", r.prog.Name(), t.Name)
	}
	in, err := openCapture(r.flags.pcap)
	if err != nil {
		return err
	}
	defer in.close()
	if link := in.link(); link != layers.LinkTypeEthernet {
		fmt.Fprintf(r.s.err, "note: %s holds packets of link type %v; the program may expect Ethernet\n", in.name, link)
	}
	var out *captureWriter
	if r.flags.write != "" {
		if out, err = createCapture(r.flags.write, in.link()); err != nil {
			return err
		}
		defer func() {
			if closeErr := out.close(); err == nil && closeErr != nil {
				err = closeErr
			}
		}()
	}
	total := &tally{byValue: map[int64]*count{}}
	if err := r.runPackets(ctx, in, out, total); err != nil {
		return err
	}
	if !r.flags.json {
		r.printTally(total)
		if r.flags.dumpMaps {
			if err := dumpText(r.s.out, r.coll); err != nil {
				return err
			}
		}
	}
	if total.faults.packets > 0 {
		return refused{fmt.Errorf("%s: %d of %d runs faulted; the first: %w", r.file, total.faults.packets, total.all.packets, total.first)}
	}
	return nil
}

// runPackets runs all packets, counts them in total, and with --json prints
// each. An object is printed when the next packet has been read, so that the
// last one can hold the maps.
func (r *session) runPackets(ctx context.Context, capture *capture, out *captureWriter, total *tally) error {
	bar := newProgress(r.s.err, r.prog.Name())
	defer bar.finish()
	in := &input{typ: r.prog.Type()}
	full := r.flags.json || r.watched() || r.fields != nil
	var held *report
	for {
		data, info, err := capture.next()
		if err != nil && err != io.EOF {
			return err
		}
		if held != nil {
			if err == io.EOF && r.flags.dumpMaps {
				var dumpErr error
				if held.Maps, dumpErr = dumpJSON(r.coll); dumpErr != nil {
					return dumpErr
				}
			}
			if err := writeJSON(r.s.out, held); err != nil {
				return err
			}
			held = nil
		}
		if err == io.EOF {
			return nil
		}
		bar.update(capture.input.n, capture.size, capture.count)
		in.set(data)

		var res vm.Result
		begin := time.Now()
		if full {
			res, err = r.do(ctx, in)
		} else {
			res.R0, err = r.prog.RunContext(ctx, in.value())
		}
		took := time.Since(begin)
		if ctx.Err() != nil {
			return fmt.Errorf("stopped at packet %d: %w", capture.count-1, context.Cause(ctx))
		}
		total.add(r.retval(res.R0), res.R0, len(data), took, capture.count-1, err)
		if r.flags.json {
			held = r.report(&res, took, in.bytes(), err)
		}
		if out != nil && err == nil {
			if err := writePassed(out, r.prog.Type(), res.R0, info, in.bytes()); err != nil {
				return err
			}
		}
	}
}

func (t *tally) add(retval int64, r0 uint64, size int, took time.Duration, index int64, err error) {
	t.all.add(size)
	t.running += took
	if err != nil {
		if t.first == nil {
			t.first = fmt.Errorf("packet %d: %w", index, err)
		}
		t.faults.add(size)
		return
	}
	c := t.byValue[retval]
	if c == nil {
		c = &count{r0: r0}
		t.byValue[retval] = c
	}
	c.add(size)
}

// writePassed writes a packet that the program did not drop.
func writePassed(out *captureWriter, t *hook.Type, r0 uint64, info gopacket.CaptureInfo, packet []byte) error {
	if drops(t, r0) {
		return nil
	}
	if t.Name == "socket_filter" { // returns how much of the packet to keep
		packet = packet[:min(uint64(len(packet)), uint64(uint32(r0)))]
	}
	return out.write(info, packet)
}

// drops reports whether a program of type t that returns r0 drops its packet.
// The kernel treats verdicts that it does not know as drops for xdp, and as
// passing for tc (kernel, net/core/dev.c, bpf_prog_run_generic_xdp, tc_run).
func drops(t *hook.Type, r0 uint64) bool {
	ret := int32(r0)
	switch t.Name {
	case "xdp": // XDP_PASS, XDP_TX, XDP_REDIRECT pass
		return ret < 2 || ret > 4
	case "sched_cls", "sched_act": // TC_ACT_SHOT, STOLEN, QUEUED, TRAP
		return ret == 2 || ret == 4 || ret == 5 || ret == 8
	case "socket_filter":
		return ret == 0
	}
	return false
}

// maxVerdicts is how many different return values the table lists.
const maxVerdicts = 20

func (r *session) printTally(t *tally) {
	rows := make([]*count, 0, len(t.byValue))
	for _, c := range t.byValue {
		rows = append(rows, c)
	}
	slices.SortFunc(rows, func(a, b *count) int {
		if a.packets != b.packets {
			return int(b.packets - a.packets)
		}
		return int(r.retval(a.r0) - r.retval(b.r0))
	})
	tab := &table{head: []string{"VERDICT", " PACKETS", " SHARE", " BYTES"}}
	row := func(name string, c *count) {
		tab.add(name, fmt.Sprint(c.packets), fmt.Sprintf("%.1f%%", 100*float64(c.packets)/float64(max(t.all.packets, 1))), fmt.Sprint(c.bytes))
	}
	var rest count
	for i, c := range rows {
		if i >= maxVerdicts {
			rest.packets += c.packets
			rest.bytes += c.bytes
			continue
		}
		row(r.verdict(c.r0), c)
	}
	if rest.packets > 0 {
		row(fmt.Sprintf("%d others", len(rows)-maxVerdicts), &rest)
	}
	if t.faults.packets > 0 {
		row("faulted", &t.faults)
	}
	row("all", &t.all)
	tab.print(r.s.out)
	fmt.Fprintf(r.s.out, "\n%s: %s, %s\n", r.prog.Name(), rate(t.all.packets, t.running), r.engineText())
}

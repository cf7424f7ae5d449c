package main

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

const traffic = "testdata/traffic.pcap"

// newFirewall returns a firewall with two rules besides those it begins with.
func newFirewall(t *testing.T) *Firewall {
	t.Helper()
	fw, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fw.Close() })
	if err := fw.Block(netip.MustParsePrefix("203.0.113.0/24")); err != nil {
		t.Fatal(err)
	}
	if err := fw.ClosePort(17, 8125); err != nil {
		t.Fatal(err)
	}
	return fw
}

// want is what the capture was made to hold (cmd/skep, TestTraffic).
var want = map[Reason]uint64{
	Passed:    6*12 + 1 + 1 + 1 + 1, // clients, port unreachable, ARP, IPv6, VLAN
	Answered:  5,
	Malformed: 2,
	Fragment:  1,
	BadFlags:  12,
	BadPrefix: 4,
	BadPort:   5 + 1 + 1 + 1, // IPv4, IPv6, VLAN, udp/8125
}

func packets(t *testing.T) [][]byte {
	t.Helper()
	ps, err := readPcap(traffic)
	if err != nil {
		t.Fatal(err)
	}
	return ps
}

func checkCounters(t *testing.T, fw *Firewall, times uint64) {
	t.Helper()
	counters, err := fw.Counters()
	if err != nil {
		t.Fatal(err)
	}
	for r, c := range counters {
		if c.Packets != times*want[Reason(r)] {
			t.Errorf("%v: got %d packets, want %d", Reason(r), c.Packets, times*want[Reason(r)])
		}
	}
}

func TestFirewall(t *testing.T) {
	fw := newFirewall(t)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	dropped := map[Reason]uint64{}
	var telnet Event
	done := make(chan error, 1)
	go func() {
		done <- fw.Events(ctx, func(e Event) {
			dropped[e.Reason]++
			if e.DstPort == 23 && e.Src.Is4() && !e.Src.IsUnspecified() {
				telnet = e
			}
		})
	}()
	verdicts := map[uint64]uint64{}
	for i, data := range packets(t) {
		verdict, err := fw.Filter(vm.NewPacket(data, 256, 0))
		if err != nil {
			t.Fatalf("packet %d: %v", i, err)
		}
		verdicts[verdict]++
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	checkCounters(t, fw, 1)
	wantDropped := map[Reason]uint64{}
	drops := uint64(0)
	for r, n := range want {
		if r != Passed && r != Answered {
			wantDropped[r] = n
			drops += n
		}
	}
	if d := cmp.Diff(wantDropped, dropped); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
	// enum xdp_action: XDP_DROP 1, XDP_PASS 2, XDP_TX 3
	if d := cmp.Diff(map[uint64]uint64{1: drops, 2: want[Passed], 3: want[Answered]}, verdicts); d != "" {
		t.Errorf("verdicts (-want +got):\n%s", d)
	}
	wantTelnet := Event{
		Src: netip.MustParseAddr("192.0.2.66"), Dst: netip.MustParseAddr("10.0.0.2"),
		SrcPort: 51515, DstPort: 23, Proto: 6, Len: 60, Reason: BadPort,
	}
	if telnet != wantTelnet {
		t.Errorf("got event %v, want %v", telnet, wantTelnet)
	}
}

// TestConcurrent filters the capture in more goroutines at once than there are
// virtual CPUs; no packet goes uncounted.
func TestConcurrent(t *testing.T) {
	fw := newFirewall(t)
	workers := 4 * maps.NumCPU()
	var wg sync.WaitGroup
	for range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i, data := range packets(t) {
				if _, err := fw.Filter(vm.NewPacket(data, 256, 0)); err != nil {
					t.Errorf("packet %d: %v", i, err)
				}
			}
		}()
	}
	wg.Wait()
	checkCounters(t, fw, uint64(workers))
}

func TestRules(t *testing.T) {
	fw := newFirewall(t)
	for _, s := range []string{"10.0.0.0/7", "::/8"} {
		if err := fw.Block(netip.MustParsePrefix(s)); err == nil {
			t.Errorf("prefix %s was accepted", s)
		}
	}
}

func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run(&out, traffic, []string{"203.0.113.0/24"}, []string{"udp/8125"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"drop: bad prefix: 203.0.113.3:0 to 10.0.0.2:0, protocol 6, 60 bytes\n",
		"\npassed       76 packets   18694 bytes\n",
		"\nbad port      8 packets     494 bytes\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, out.String())
		}
	}
	if err := run(&out, "firewall.go", nil, nil); err == nil {
		t.Error("a file that is no capture was accepted")
	}
}

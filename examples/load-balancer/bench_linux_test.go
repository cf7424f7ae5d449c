package main

import (
	"bytes"
	"math"
	"os"
	"testing"
	"time"

	"github.com/skepvm/skep/vm"
)

// BenchmarkAgainstKernel runs one packet after the other through the balancer in
// the kernel and in skep, in turns, and reports the shortest time per packet of
// each and their ratio. The packets are those of connections under way, but for
// the cases that begin with "new".
//
//	go test -run '^$' -bench AgainstKernel -benchtime 300x ./examples/load-balancer
//
// Both run testdata/repeat.c, which takes what was put around the packet away
// again. An op is a turn of a thousand packets on each side.
func BenchmarkAgainstKernel(b *testing.B) {
	web4, web6 := ip{src: "198.51.100.10", dst: "192.0.2.10", frag: 0x4000}, ip{src: "2001:db8:c::a", dst: "2001:db8::10"}
	other := ip{src: "198.51.100.10", dst: "192.0.2.99"}
	payload := bytes.Repeat([]byte{1}, 512)
	for _, bm := range []struct {
		name    string
		program string
		frame   []byte
	}{
		{"not for a vip", "repeat", other.tcp(40000, 443, flagACK, payload)},
		{"ipv4 in ipv4", "repeat", web4.tcp(40000, 443, flagACK, payload)},
		{"ipv4 in ipv6", "repeat", web4.tcp(40000, 80, flagACK, payload)},
		{"ipv6 in ipv6", "repeat", web6.tcp(40000, 443, flagACK, payload)},
		{"udp", "repeat", web4.udp(40000, 443, payload)},
		{"ring only", "repeat", ip{src: "198.51.100.10", dst: "192.0.2.53"}.udp(40000, 53, payload)},
		{"no backend", "repeat", ip{src: "198.51.100.10", dst: "192.0.2.30"}.tcp(40000, 25, flagSYN, nil)},
		{"new tcp", "fresh", web4.tcp(40000, 443, flagSYN, nil)},
		{"new udp", "fresh", web4.udp(40000, 443, payload)},
	} {
		b.Run(bm.name, func(b *testing.B) { benchmark(b, bm.program, bm.frame) })
	}
}

// turn is how many packets each side runs at a time: so many that their events
// find room.
const turn = 1000

func benchmark(b *testing.B, program string, f []byte) {
	object, err := os.ReadFile("testdata/repeat.o")
	if err != nil {
		b.Fatal(err)
	}
	var settings Settings
	ours := balancerOf(b, object, vm.Options{}, func(s *Settings) {
		s.FloodLimit = math.MaxUint64
		settings = *s
	})
	theirs := newKernel(b, object, settings)
	theirs.copy(ours)

	prog, p := ours.coll.Program(program), vm.NewPacket(f, 256, 0)
	skep, kernel := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
	for b.Loop() {
		start := time.Now()
		for range turn {
			if _, err := prog.Run(p); err != nil {
				b.Fatal(err)
			}
		}
		skep = min(skep, time.Since(start))
		_, perRun, err := theirs.coll.Programs[program].Benchmark(f, turn, nil)
		if err != nil {
			b.Fatal(err)
		}
		kernel = min(kernel, turn*perRun)
		if len(theirs.records()) != len(ourRecords(b, ours)) {
			b.Fatal("events differ in number")
		}
	}
	b.ReportMetric(float64(skep.Nanoseconds())/turn, "skep-ns/packet")
	b.ReportMetric(float64(kernel.Nanoseconds())/turn, "kernel-ns/packet")
	b.ReportMetric(float64(skep)/float64(kernel), "skep/kernel")
	b.ReportMetric(0, "ns/op")
}

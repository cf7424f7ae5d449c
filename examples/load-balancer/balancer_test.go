package main

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/skepvm/skep/vm"
)

var engines = []vm.Engine{vm.Checked, vm.Interp, vm.Auto}

// engineName says which engine Auto is here.
func engineName(e vm.Engine) string {
	if e == vm.Auto {
		return "auto"
	}
	return string(e)
}

// newBalancer returns a balancer of the services in config.json. Time is *now,
// and there is one CPU.
func newBalancer(t *testing.T, engine vm.Engine, now *uint64, change func(*Settings)) *Balancer {
	t.Helper()
	return balancerOf(t, object, vm.Options{Engine: engine, Deterministic: true}, func(s *Settings) {
		s.Now = func() uint64 { return *now }
		if change != nil {
			change(s)
		}
	})
}

func balancerOf(t testing.TB, object []byte, o vm.Options, change func(*Settings)) *Balancer {
	t.Helper()
	s, vips, err := readConfig(configFile)
	if err != nil {
		t.Fatal(err)
	}
	change(&s)
	b, err := newFrom(object, s, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	for _, v := range vips {
		if err := b.Set(v); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// balance runs one frame and returns the verdict and the frame afterwards.
func balance(t *testing.T, b *Balancer, f []byte) (uint64, []byte) {
	t.Helper()
	p := vm.NewPacket(f, 256, 0)
	verdict, err := b.Balance(p)
	if err != nil {
		t.Fatal(err)
	}
	return verdict, p.Data()
}

func report(t *testing.T, b *Balancer) *Report {
	t.Helper()
	r, err := b.Report()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// events returns those that wait.
func events(t *testing.T, b *Balancer) (es []Event) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if err := b.Events(ctx, func(e Event) { es = append(es, e) }); err != nil {
		t.Fatal(err)
	}
	return es
}

// TestOutcomes checks each frame of the capture by the outcome that is counted.
func TestOutcomes(t *testing.T) {
	frames, want := traffic()
	for _, engine := range engines {
		t.Run(engineName(engine), func(t *testing.T) {
			var now uint64
			b := newBalancer(t, engine, &now, nil)
			before := report(t, b).Outcomes
			for i, f := range frames {
				now = uint64(f.time.UnixNano())
				verdict, _ := balance(t, b, f.data)
				after := report(t, b).Outcomes
				got := map[string]uint64{}
				for o, c := range after {
					if n := c.Packets - before[o].Packets; n > 0 {
						got[o] = n
					}
				}
				before = after
				if d := cmp.Diff(map[string]uint64{want[i].String(): 1}, got); d != "" {
					t.Errorf("frame %d (-want +got):\n%s", i, d)
				}
				wantVerdict := map[Outcome]uint64{Passed: 2, Forwarded: xdpTX, Answered: xdpTX, TooBig: xdpTX}[want[i]]
				if wantVerdict == 0 {
					wantVerdict = 1 // XDP_DROP
				}
				if verdict != wantVerdict {
					t.Errorf("frame %d: %v, verdict %d", i, want[i], verdict)
				}
			}
		})
	}
}

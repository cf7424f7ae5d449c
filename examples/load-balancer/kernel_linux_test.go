package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"reflect"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// A kernel is the same object in the running kernel, with what a Balancer has
// in its tables.
type kernel struct {
	t      testing.TB
	coll   *ebpf.Collection
	events *ringbuf.Reader
	copied map[maps.Map]bool // rings
}

// newKernel loads an object with settings s. Until the test ends, its thread
// stays on one CPU.
func newKernel(t testing.TB, object []byte, s Settings) *kernel {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("loading a program into the kernel needs root")
	}
	obj, err := load(object, s)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(object))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range obj.Variables {
		if !v.ReadOnly {
			continue
		}
		if err := spec.Variables[v.Name].Set(v.Value()); err != nil {
			t.Fatal(err)
		}
	}
	spec.Maps["connections"].MaxEntries = obj.Map("connections").MaxEntries
	coll, err := ebpf.NewCollection(spec)
	if errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.EPERM) {
		t.Skipf("the kernel does not load programs here: %v", err)
	}
	if err != nil {
		t.Fatalf("the kernel refuses the object: %+v", err)
	}
	t.Cleanup(coll.Close)
	events, err := ringbuf.NewReader(coll.Maps["events"])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { events.Close() })
	stayOnOneCPU(t)
	return &kernel{t, coll, events, map[maps.Map]bool{}}
}

func stayOnOneCPU(t testing.TB) {
	t.Helper()
	runtime.LockOSThread()
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	for cpu := range 1024 {
		if before.IsSet(cpu) {
			one.Set(cpu)
			break
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.SchedSetaffinity(0, &before); err != nil {
			t.Error(err)
			return // the thread ends with the test's goroutine
		}
		runtime.UnlockOSThread()
	})
}

// copy gives the kernel what b has in its tables, connections left out.
func (k *kernel) copy(b *Balancer) {
	k.t.Helper()
	for _, name := range []string{"vips", "addresses", "backends"} {
		for key, value := range contents(k.t, b.coll.Map(name)) {
			if err := k.coll.Maps[name].Put([]byte(key), []byte(value)); err != nil {
				k.t.Fatalf("%s: %v", name, err)
			}
		}
	}
	for _, v := range b.vips {
		if !k.copied[v.ring] {
			k.copied[v.ring] = true
			k.copyRing(v)
		}
	}
}

func (k *kernel) copyRing(v *vip) {
	k.t.Helper()
	ring, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: ringSize})
	if err != nil {
		k.t.Fatal(err)
	}
	defer ring.Close()
	keys, values := make([]byte, 4*ringSize), make([]byte, 4*ringSize)
	var walk maps.Cursor
	if n, err := maps.LookupBatch(v.ring, &walk, keys, values); n != ringSize {
		k.t.Fatalf("%d places in a ring: %v", n, err)
	}
	indices, places := make([]uint32, ringSize), make([]uint32, ringSize)
	for i := range indices {
		indices[i], places[i] = binary.NativeEndian.Uint32(keys[4*i:]), binary.NativeEndian.Uint32(values[4*i:])
	}
	if _, err := ring.BatchUpdate(indices, places, nil); err != nil {
		k.t.Fatal(err)
	}
	if err := k.coll.Maps["rings"].Put(v.number, ring); err != nil {
		k.t.Fatal(err)
	}
}

// run runs one frame.
func (k *kernel) run(f []byte) (uint32, []byte) {
	k.t.Helper()
	opts := ebpf.RunOptions{Data: f, DataOut: make([]byte, len(f)+256)}
	verdict, err := k.coll.Programs["balance"].Run(&opts)
	if err != nil {
		k.t.Fatal(err)
	}
	return verdict, opts.DataOut
}

// records returns the events that wait, times masked.
func (k *kernel) records() (all [][]byte) {
	k.t.Helper()
	k.events.SetDeadline(time.Unix(1, 0))
	for {
		rec, err := k.events.Read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return all
		}
		if err != nil {
			k.t.Fatal(err)
		}
		all = append(all, maskTime(rec.RawSample))
	}
}

// maskTime clears the first eight bytes, which are a time in struct event and
// struct connection.
func maskTime(b []byte) []byte {
	b = bytes.Clone(b)
	clear(b[:8])
	return b
}

// tables returns what the program wrote, times masked; of CPUs, the sums.
func (k *kernel) tables() map[string]map[string]string {
	k.t.Helper()
	all := map[string]map[string]string{}
	for _, name := range written {
		m := k.coll.Maps[name]
		got := map[string]string{}
		it := m.Iterate()
		var key []byte
		if m.Type() == ebpf.PerCPUArray {
			for i := range m.MaxEntries() {
				var values [][]byte
				if err := m.Lookup(i, &values); err != nil {
					k.t.Fatal(err)
				}
				got[string(encode(i))] = sum(bytes.Join(values, nil), int(m.ValueSize()))
			}
		} else {
			var value []byte
			for it.Next(&key, &value) {
				got[string(key)] = string(maskTime(value))
			}
			if err := it.Err(); err != nil {
				k.t.Fatal(err)
			}
		}
		all[name] = got
	}
	return all
}

// written names the tables that the program writes. Of struct window nothing is
// comparable: it depends on the clock.
var written = []string{"connections", "outcomes", "vip_counters", "backend_counters", "lost_events"}

func ourTables(t *testing.T, b *Balancer) map[string]map[string]string {
	t.Helper()
	all := map[string]map[string]string{}
	for _, name := range written {
		m := b.coll.Map(name)
		all[name] = contents(t, m)
		for key, value := range all[name] {
			if m.Spec().Type == maps.PerCPUArray {
				all[name][key] = sum([]byte(value), int(m.Spec().ValueSize))
			} else {
				all[name][key] = string(maskTime([]byte(value)))
			}
		}
	}
	return all
}

// sum adds up values of size bytes, which consist of 64-bit numbers, and says
// what the sums are.
func sum(values []byte, size int) string {
	sums := make([]uint64, size/8)
	for i := 0; i < len(values); i += 8 {
		n, _ := decode[uint64](values[i:][:8])
		sums[i%size/8] += n
	}
	return fmt.Sprint(sums)
}

// contents returns all entries of a map.
func contents(t testing.TB, m maps.Map) map[string]string {
	t.Helper()
	all := map[string]string{}
	keySize, valueSize := int(m.Spec().KeySize), m.Spec().HostValueSize()
	keys, values := make([]byte, 64*keySize), make([]byte, 64*valueSize)
	for walk := new(maps.Cursor); ; {
		n, err := maps.LookupBatch(m, walk, keys, values)
		if err != nil && !errors.Is(err, maps.ErrKeyNotExist) {
			t.Fatalf("%s: %v", m.Spec().Name, err)
		}
		for i := range n {
			all[string(keys[i*keySize:][:keySize])] = string(values[i*valueSize:][:valueSize])
		}
		if err != nil {
			return all
		}
	}
}

func ourRecords(t testing.TB, b *Balancer) (all [][]byte) {
	t.Helper()
	for {
		rec, err := b.events.Read(done())
		if err != nil {
			return all
		}
		all = append(all, maskTime(rec.Data))
	}
}

// done returns a context that is done: readers take what waits.
func done() context.Context {
	ctx, stop := context.WithCancel(context.Background())
	stop()
	return ctx
}

// A result is what one frame gave.
type result struct {
	verdict uint32
	data    []byte
	events  [][]byte
}

// TestAgainstKernel runs the same frames over the same tables in the kernel and
// in each engine, and compares verdicts, bytes, events and what is in the tables
// afterwards. In the middle the services change: a backend is drained, others are
// added.
func TestAgainstKernel(t *testing.T) {
	frames, _ := traffic()
	var captured [][]byte
	for _, f := range frames {
		captured = append(captured, f.data)
	}
	random := 20_000
	if testing.Short() {
		random = 1_200
	}
	for _, tc := range []struct {
		name   string
		frames [][]byte
		change func(*Settings)
		evicts bool
	}{
		{"capture", captured, nil, false},
		{"random", randomTraffic(rand.New(rand.NewPCG(1, 2)), random), nil, false},
		{"smaller mtu", randomTraffic(rand.New(rand.NewPCG(3, 4)), random/4), func(s *Settings) { s.MTU = 600 }, false},
		{"udp forgotten at once", randomTraffic(rand.New(rand.NewPCG(5, 6)), random/4), func(s *Settings) { s.UDPTimeout = 1 }, false},
		{"flooded", randomTraffic(rand.New(rand.NewPCG(7, 8)), random/4), func(s *Settings) { s.FloodLimit, s.FloodWindow, s.HashSeed = 100, 24*time.Hour, 99 }, false},
		{"small table", randomTraffic(rand.New(rand.NewPCG(9, 10)), random/4), func(s *Settings) { s.Connections = 64 }, true},
	} {
		t.Run(tc.name, func(t *testing.T) { againstKernel(t, tc.frames, tc.change, tc.evicts) })
	}
}

// againstKernel is one case. With evicts, the table of connections is too small.
// Which one gives way is nowhere promised, so what depends on it is not compared,
// and the services do not change: then the ring gives what the table had.
func againstKernel(t *testing.T, frames [][]byte, change func(*Settings), evicts bool) {
	var now uint64
	model := newBalancer(t, vm.Checked, &now, change)
	settings, _, err := readConfig(configFile)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&settings)
	}
	k := newKernel(t, object, settings)
	k.copy(model)
	var want []result
	for i, f := range frames {
		if i == len(frames)/2 && !evicts {
			reconfigure(t, model)
			k.copy(model)
		}
		if len(f) < 14 { // test_run wants an Ethernet header
			want = append(want, result{})
			continue
		}
		verdict, data := k.run(f)
		want = append(want, result{verdict, data, k.records()})
		if evicts {
			want[i].events = nil
		}
	}
	wantTables := k.tables()
	if evicts {
		delete(wantTables, "connections")
		delete(wantTables, "vip_counters")
	}

	for _, engine := range engines {
		t.Run(engineName(engine), func(t *testing.T) {
			now = 0
			b := newBalancer(t, engine, &now, change)
			differ := 0
			for i, f := range frames {
				if i == len(frames)/2 && !evicts {
					reconfigure(t, b)
				}
				if len(f) < 14 {
					continue
				}
				now += 1000
				verdict, data := balance(t, b, f)
				got := result{uint32(verdict), data, ourRecords(t, b)}
				if evicts {
					got.events = nil
				}
				if !reflect.DeepEqual(want[i], got) {
					t.Errorf("frame %d, %x (-kernel +skep):\n%s", i, f, cmp.Diff(want[i], got, cmp.AllowUnexported(result{})))
					if differ++; differ == 5 {
						t.FailNow()
					}
				}
			}
			tables := ourTables(t, b)
			if n := len(tables["connections"]); evicts && n > 64 {
				t.Errorf("%d connections in a table of 64", n)
			}
			for name := range tables {
				if wantTables[name] == nil {
					delete(tables, name)
				}
			}
			if !reflect.DeepEqual(wantTables, tables) {
				t.Errorf("tables (-kernel +skep):\n%s", cmp.Diff(wantTables, tables))
			}
		})
	}
	events := 0
	for _, r := range want {
		events += len(r.events)
	}
	t.Logf("%d frames, %d events, %d connections in the table", len(frames), events, len(wantTables["connections"]))
}

// reconfigure changes the services of config.json.
func reconfigure(t *testing.T, b *Balancer) {
	t.Helper()
	_, vips, err := readConfig(configFile)
	if err != nil {
		t.Fatal(err)
	}
	tcp4, tcp6 := vips[0], vips[len(vips)-1]
	tcp4.Backends[2].Weight = 0
	tcp4.Backends = append(tcp4.Backends, Backend{netip.MustParseAddr("10.0.0.9"), 3})
	tcp6.Backends = append(tcp6.Backends, Backend{netip.MustParseAddr("fd00::9"), 1})
	for _, v := range []VIP{tcp4, tcp6} {
		if err := b.Set(v); err != nil {
			t.Fatal(err)
		}
	}
}

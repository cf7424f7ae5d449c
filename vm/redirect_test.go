package vm_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// redirectProgram redirects to the key in the packet's first 8 bytes with the flags
// in the next 8.
const redirectProgram = `
r2 = *(u32 *)(r1 +0)
r3 = *(u32 *)(r1 +4)
r4 = r2
r4 += 16
r0 = 4095
if r4 > r3 goto out
r3 = *(u64 *)(r2 +8)
r2 = *(u64 *)(r2 +0)
r1 = map[0]
call 51
out: exit`

// readProgram looks up the key in the packet's first 4 bytes, and returns what it
// finds, which has words of four bytes.
const readProgram = `
r2 = *(u32 *)(r1 +0)
r3 = *(u32 *)(r1 +4)
r4 = r2
r4 += 16
r0 = 4095
if r4 > r3 goto out
r1 = map[0]
call 1
if r0 == 0 goto out
r1 = *(u32 *)(r0 +0)
r2 = *(u32 *)(r0 +%d)
r2 <<= 16
r0 = r1
r0 |= r2
out: exit`

func word(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }

// targetSpecs are maps to redirect to, with what goes into an entry.
var targetSpecs = []struct {
	spec  maps.Spec
	value []byte
}{
	{maps.Spec{Type: maps.DevMap, ValueSize: 4}, word(1)},
	{maps.Spec{Type: maps.DevMap, ValueSize: 8}, append(word(1), word(0)...)},
	{maps.Spec{Type: maps.DevMapHash, ValueSize: 4}, word(1)},
	{maps.Spec{Type: maps.DevMapHash, ValueSize: 8}, append(word(1), word(0)...)},
	{maps.Spec{Type: maps.CPUMap, ValueSize: 4}, word(192)},
	{maps.Spec{Type: maps.CPUMap, ValueSize: 8}, append(word(192), word(0)...)},
	{maps.Spec{Type: maps.XSKMap, ValueSize: 4}, nil},
}

// TestKernelRedirectMap compares redirect_map, and what programs read of the maps,
// with the kernel's: keys with and without an entry, and all flags.
func TestKernelRedirectMap(t *testing.T) {
	oracle.Skip(t)
	keys := []uint64{0, 1, 2, 3, 4, 9, 1 << 31, 1<<32 - 1, 1 << 32, 1<<32 + 1}
	flags := []uint64{1 << 5, 1 << 31, 1 << 32, 1<<32 + 2, 1 << 63}
	for i := range uint64(32) {
		flags = append(flags, i)
	}
	runs := 0
	for _, tc := range targetSpecs {
		tc.spec.Name, tc.spec.KeySize, tc.spec.MaxEntries = "m", 4, 4
		for _, text := range []string{redirectProgram, fmt.Sprintf(readProgram, tc.spec.ValueSize-4)} {
			theirs, err := oracle.NewMap(&tc.spec, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(theirs.Close)
			kernel, log, err := oracle.Load(oracle.LoadOptions{Type: oracle.XDP, Insns: assemble(t, text), Maps: []*oracle.Map{theirs}})
			if err != nil {
				c, ours := tryLoad(t, text, vm.Options{}, &tc.spec)
				if ours == nil {
					c.Close()
					t.Errorf("%v: accepted, refused by the kernel:\n%s", tc.spec.Type, log)
				}
				continue
			}
			t.Cleanup(kernel.Close)
			for _, e := range usable(t) {
				c := load(t, linux.XDP, text, vm.Options{Engine: e}, &tc.spec)
				for _, k := range []uint32{1, 0} {
					if tc.value == nil || k >= uint32(maps.NumCPU()) {
						continue
					}
					if err := theirs.Update(word(k), tc.value, 0); err != nil {
						t.Fatal(err)
					}
					if err := c.Map("m").Update(word(k), tc.value, 0); err != nil {
						t.Fatal(err)
					}
				}
				for _, key := range keys {
					for _, f := range flags {
						packet := binary.NativeEndian.AppendUint64(nil, key)
						packet = append(binary.NativeEndian.AppendUint64(packet, f), make([]byte, 48)...)
						want, err := kernel.Run(oracle.RunInput{Data: packet})
						if err != nil {
							t.Fatal(err)
						}
						got, err := c.Program("p").Run(packet)
						if err != nil || uint32(got) != want.Retval {
							t.Fatalf("%v, value size %d, %s: key %#x, flags %#x: %d, %v; the kernel: %d", tc.spec.Type, tc.spec.ValueSize, e, key, f, got, err, want.Retval)
						}
						runs++
					}
				}
			}
		}
	}
	t.Logf("%d runs", runs)
}

// tryLoad is load that may fail.
func tryLoad(t *testing.T, text string, o vm.Options, ms ...*maps.Spec) (*vm.Collection, error) {
	t.Helper()
	p, err := prog.FromInsns("p", linux.XDP, assemble(t, text), ms)
	if err != nil {
		t.Fatal(err)
	}
	return vm.LoadProgram(p, o)
}

// TestKernelTargetAccess compares what programs may do to maps of targets.
func TestKernelTargetAccess(t *testing.T) {
	oracle.Skip(t)
	const key = "*(u32 *)(r10 -4) = 0\n*(u64 *)(r10 -16) = 0\nr1 = map[0]\nr2 = r10\nr2 += -4\n"
	for _, tc := range targetSpecs {
		tc.spec.Name, tc.spec.KeySize, tc.spec.MaxEntries = "m", 4, 4
		for name, text := range map[string]string{
			"lookup": key + "call 1\nr0 = 0\nexit",
			"read":   key + "call 1\nif r0 == 0 goto +1\nr0 = *(u32 *)(r0 +0)\nr0 = 0\nexit",
			"past":   key + "call 1\nif r0 == 0 goto +1\nr0 = *(u32 *)(r0 +4)\nr0 = 0\nexit",
			"write":  key + "call 1\nif r0 == 0 goto +1\n*(u32 *)(r0 +0) = 1\nr0 = 0\nexit",
			"update": key + "r3 = r10\nr3 += -16\nr4 = 0\ncall 2\nr0 = 0\nexit",
			"delete": key + "call 3\nr0 = 0\nexit",
			"each":   key + "r0 = 0\nr2 = r10\nr3 = 0\ncall 88\nexit",
			"tail":   "r2 = map[0]\nr3 = 0\ncall 12\nr0 = 0\nexit",
		} {
			theirs, err := oracle.NewMap(&tc.spec, nil)
			if err != nil {
				t.Fatal(err)
			}
			kernel, log, want := oracle.Load(oracle.LoadOptions{Type: oracle.XDP, Insns: assemble(t, text), Maps: []*oracle.Map{theirs}})
			if want == nil {
				kernel.Close()
			}
			theirs.Close()
			c, got := tryLoad(t, text, vm.Options{}, &tc.spec)
			if got == nil {
				c.Close()
			}
			if (got == nil) != (want == nil) {
				t.Errorf("%v, value size %d, %s: %v; the kernel: %v\n%s", tc.spec.Type, tc.spec.ValueSize, name, got, want, log)
			}
		}
	}
}

// An inbox keeps what it receives.
type inbox struct{ packets []string }

var errFull = errors.New("full")

func (s *inbox) Receive(packet []byte) error {
	if len(s.packets) == 2 {
		return errFull
	}
	s.packets = append(s.packets, string(packet))
	return nil
}

// TestRedirectTargets: what a redirect names reaches the Go side, and the packet
// its receivers.
func TestRedirectTargets(t *testing.T) {
	for _, e := range usable(t) {
		lo, eth, own := &inbox{}, &inbox{}, &inbox{}
		devices := linux.Devices{1: lo, 2: eth}
		c := load(t, linux.XDP, redirectProgram, vm.Options{Engine: e}, &maps.Spec{Name: "m", Type: maps.DevMap, KeySize: 4, ValueSize: 8, MaxEntries: 4})
		m := c.Map("m").(maps.TargetMap)
		m.Resolve(devices.Resolve)
		if err := c.Map("m").Update(word(0), append(word(1), word(0)...), 0); err != nil {
			t.Fatal(err)
		}
		if err := c.Map("m").Update(word(0), append(word(3), word(0)...), 0); !errors.Is(err, maps.ErrInvalid) {
			t.Errorf("a device that there is not: %v", err)
		}
		if err := m.StoreTarget(word(1), maps.Target{Index: 2, Program: c.Program("p")}, 0); err != nil {
			t.Fatal(err)
		}
		if err := m.StoreTarget(word(3), maps.Target{Index: 7, To: own}, 0); err != nil {
			t.Fatal(err)
		}
		run := func(key, flags uint64) (r linux.Redirect) {
			t.Helper()
			packet := binary.NativeEndian.AppendUint64(nil, key)
			packet = append(binary.NativeEndian.AppendUint64(packet, flags), make([]byte, 48)...)
			_, err := c.Program("p").Do(context.Background(), packet, vm.RunOptions{Outcome: func(s any) { r = s.(*linux.State).Redirect }})
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		r := run(1, 0)
		if r.Kind != linux.RedirectMap || r.Map != c.Map("m") || r.Index != 1 || r.Target.Index != 2 || r.Target.Program != c.Program("p") {
			t.Errorf("%s: %+v", e, r)
		}
		// The entry was stored without a receiver: the device of its number takes it.
		if n, err := devices.Deliver(&r, 1, []byte("one")); n != 1 || err != nil {
			t.Errorf("%s: %d, %v", e, n, err)
		}
		if r = run(2, 2); r.Kind != linux.RedirectNone {
			t.Errorf("%s: a redirect to nothing: %+v", e, r)
		}
		if n, err := devices.Deliver(&r, 1, nil); n != 0 || !errors.Is(err, linux.ErrNowhere) {
			t.Errorf("%s: %d, %v", e, n, err)
		}
		r = run(9, 8) // broadcast
		if n, err := devices.Deliver(&r, 1, []byte("all")); n != 3 || err != nil || r.Target != nil {
			t.Errorf("%s: %d, %v", e, n, err)
		}
		r = run(9, 8|16)
		if n, err := devices.Deliver(&r, 1, []byte("others")); n != 1 || !errors.Is(err, errFull) {
			t.Errorf("%s: %d, %v", e, n, err)
		}
		r = run(3, 16) // without broadcast the flag has no effect
		if n, err := devices.Deliver(&r, 7, []byte("own")); n != 0 || !errors.Is(err, errFull) || r.Flags != 0 {
			t.Errorf("%s: %d, %v", e, n, err)
		}
		if got := fmt.Sprint(lo.packets, eth.packets, own.packets); got != "[all] [one all] [all others]" {
			t.Errorf("%s: %s", e, got)
		}
	}
}

// TestCloneRedirect: clones are copies, as many as may be kept.
func TestCloneRedirect(t *testing.T) {
	const text = `
r6 = r1
r7 = 0
r8 = 300
again:
r1 = r6
r2 = 5
r3 = 0
call 13
r0 <<= 32
r0 s>>= 32
if r0 != 0 goto out
r7 += 1
r8 += -1
if r8 != 0 goto again
out:
r0 = r7
exit`
	for _, e := range usable(t) {
		c := load(t, linux.SchedCls, text, vm.Options{Engine: e})
		var clones []linux.Clone
		packet := make([]byte, 64)
		r, err := c.Program("p").Do(context.Background(), packet, vm.RunOptions{Outcome: func(s any) { clones = s.(*linux.State).Clones }})
		if err != nil || r.R0 != 256 || len(clones) != 256 || clones[9].Index != 5 || len(clones[0].Packet) != 64 || &clones[0].Packet[0] == &packet[0] {
			t.Errorf("%s: %d, %v, %d clones", e, r.R0, err, len(clones))
		}
	}
}

package vm_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// TestKernelMessageQueue sends streams through a program that applies verdicts to so
// many bytes and asks for so many, by a plan, here and in the kernel: how often it
// runs, how much it sees each time, and what arrives.
func TestKernelMessageQueue(t *testing.T) {
	oracle.Skip(t)
	oracle.Isolate(t, nil)
	const steps = 24
	specs := []*maps.Spec{attachedSpec,
		{Name: "plan", Type: maps.Array, KeySize: 4, ValueSize: 16 * (steps + 1), MaxEntries: 1},
		{Name: "socks", Type: maps.SockMap, KeySize: 4, ValueSize: 4, MaxEntries: 1}}
	text := fmt.Sprintf(`
		r6 = r1
		r9 = map[0][0]+0
		r1 = *(u64 *)(r9 +0)
		if r1 > %d goto pass
		r2 = r1
		r1 += 1
		*(u64 *)(r9 +0) = r1
		r3 = *(u32 *)(r6 +68)
		r4 = r2
		r4 <<= 3
		r5 = r9
		r5 += r4
		*(u64 *)(r5 +8) = r3
		r7 = map[1][0]+0
		r2 <<= 4
		r7 += r2
		r2 = *(u32 *)(r7 +0)
		if r2 == 0 goto cork
		r1 = r6
		call 61
	cork:
		r2 = *(u32 *)(r7 +4)
		if r2 == 0 goto verdict
		r1 = r6
		call 62
	verdict:
		r0 = *(u32 *)(r7 +8)
		if r0 != 0 goto pass
		exit
	pass:
		r0 = 1
		exit`, steps-1)
	s, _ := linux.Platform.Section("sk_msg")
	p, err := prog.FromInsns("p", s.Type, assemble(t, text), specs)
	if err != nil {
		t.Fatal(err)
	}
	applied, corked := 0, 0
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 61))
		plan := make([]byte, specs[1].ValueSize)
		for i := range steps + 1 {
			// Not both in one stream: the kernel then loses bytes, and sends some that
			// nobody wrote (Linux 6.18).
			if seed%2 == 0 {
				binary.NativeEndian.PutUint32(plan[16*i:], []uint32{0, 0, 1, 3, 7, 10, 40}[r.IntN(7)])
			} else if i%2 == 0 {
				binary.NativeEndian.PutUint32(plan[16*i+4:], []uint32{0, 5, 12, 30}[r.IntN(4)])
			}
			binary.NativeEndian.PutUint32(plan[16*i+8:], 1)
			if r.IntN(12) == 0 {
				binary.NativeEndian.PutUint32(plan[16*i+8:], 0)
			}
		}
		var writes [][]byte
		for range 1 + r.IntN(6) {
			b := make([]byte, 1+r.IntN(25))
			for i := range b {
				b[i] = byte('a' + r.IntN(26))
			}
			writes = append(writes, b)
		}
		// Ours come first: a write that is refused is the last, since what the kernel makes
		// of what it returns, and of a verdict to drop, is not documented.
		type outcome struct {
			engine  vm.Engine
			arrived string
			seen    []byte
		}
		var ours []outcome
		sent := len(writes)
		for _, e := range usable(t) {
			coll, err := vm.LoadProgram(p, vm.Options{Engine: e})
			if err != nil {
				t.Fatal(err)
			}
			defer coll.Close()
			if err := coll.Map("plan").Update(word(0), plan, 0); err != nil {
				t.Fatal(err)
			}
			o, q, total := outcome{engine: e, seen: make([]byte, attachedSpec.ValueSize)}, &linux.MessageQueue{}, 0
			for i, b := range writes {
				total += len(b)
				err := q.Send(b, func(m *linux.SendMessage) (uint64, error) {
					return coll.Program("p").RunSource(context.Background(), m)
				}, func(part *linux.SendMessage) {
					o.arrived += string(part.Data)
					if part.Message.Apply > 0 {
						applied++
					}
				})
				if err != nil {
					if !errors.Is(err, errno.EACCES) {
						t.Fatal(err)
					}
					sent, total = i+1, 0
					break
				}
			}
			if len(o.arrived) < total {
				corked++
			}
			if err := coll.Map("out").Lookup(word(0), o.seen); err != nil {
				t.Fatal(err)
			}
			ours = append(ours, o)
		}
		var theirs []*oracle.Map
		for _, spec := range specs {
			m, err := oracle.NewMap(spec, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			theirs = append(theirs, m)
		}
		kernel, log, err := oracle.Load(oracle.LoadOptions{Type: oracle.SkMsg, Attach: oracle.AtSkMsg, Insns: assemble(t, text), Maps: theirs})
		if err != nil {
			t.Fatalf("the kernel: %v\n%s", err, log)
		}
		defer kernel.Close()
		detach, err := kernel.Attach(theirs[2].FD(), oracle.AtSkMsg)
		if err != nil {
			t.Fatal(err)
		}
		c := newStream(t, unix.AF_INET)
		if err := theirs[1].Update(word(0), plan, 0); err != nil {
			t.Fatal(err)
		}
		if err := theirs[2].Update(word(0), word(uint32(c.client)), 0); err != nil {
			t.Fatal(err)
		}
		for _, b := range writes[:sent] {
			if _, err := unix.Write(c.client, b); err != nil && errnoOf(err) != unix.EACCES {
				t.Fatal(err)
			}
		}
		if err := unix.Shutdown(c.client, unix.SHUT_WR); err != nil { // TCP may have kept small parts back
			t.Fatal(err)
		}
		want := ""
		for {
			x := got(c.server, true)
			if x == "" {
				break
			}
			want += x
		}
		seen := make([]byte, attachedSpec.ValueSize)
		if err := theirs[0].Lookup(word(0), seen, 0); err != nil {
			t.Fatal(err)
		}
		detach()
		kernel.Ran()
		for _, o := range ours {
			if o.arrived != want || string(o.seen) != string(seen) {
				t.Fatalf("seed %d, %s: %q, runs %v; the kernel: %q, runs %v\nplan %v", seed, o.engine, o.arrived, words(o.seen), want, words(seen), words(plan))
			}
		}
	}
	t.Logf("%d parts that a verdict was applied to, %d streams that ended with bytes that wait", applied, corked)
	if applied < 50 || corked == 0 {
		t.Error("too few")
	}
}

// words returns the first 64-bit words of b.
func words(b []byte) (w []uint64) {
	for i := 0; i < min(len(b), 8*16); i += 8 {
		w = append(w, binary.NativeEndian.Uint64(b[i:]))
	}
	return w
}

package vm_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// ringSpecs are the ring buffers of generated programs.
func ringSpecs() []*maps.Spec {
	return []*maps.Spec{
		{Name: "a", Type: maps.RingBuf, MaxEntries: 4096},
		{Name: "b", Type: maps.RingBuf, MaxEntries: 8192},
	}
}

// ringProgram returns a program that reserves, fills, commits, drops and outputs
// records, holds up to a dozen at a time, and gives them back in any order. R0 is
// made of what the helpers return.
func ringProgram(r *rand.Rand) string {
	const data = "r2 = *(u32 *)(r1 +0)\nr3 = *(u32 *)(r1 +4)\nr8 = 0\nr4 = r2\nr4 += 1\nif r4 > r3 goto +2\nr8 = *(u8 *)(r2 +0)\nr8 &= 3\nr9 = 0\n"
	type open struct{ slot, size int }
	var held []open
	var b, fails strings.Builder
	b.WriteString(data)
	spilled := make([]bool, 12)
	flags := func(reg string) {
		if r.IntN(4) == 0 {
			fmt.Fprintf(&b, "%s = r8\n", reg)
		} else {
			fmt.Fprintf(&b, "%s = %d\n", reg, []int{0, 1, 2}[r.IntN(3)])
		}
	}
	release := func(w *strings.Builder, o open) {
		fmt.Fprintf(w, "r1 = *(u64 *)(r10 -%d)\n", 8*o.slot+8)
	}
	for i := range 4 + r.IntN(40) {
		switch k := r.IntN(10); {
		case k < 4 && len(held) < len(spilled):
			size := []int{1, 7, 8, 9, 24, 100, 1000, 5000}[r.IntN(8)]
			fmt.Fprintf(&b, "r1 = map[%d]\nr2 = %d\nr3 = %d\ncall 131\nif r0 == 0 goto fail%d\n", r.IntN(2), size, r.IntN(16)/15, i)
			fmt.Fprintf(&fails, "fail%d:\n", i)
			for _, o := range held {
				release(&fails, o)
				fails.WriteString("r2 = 1\ncall 133\n")
			}
			fmt.Fprintf(&fails, "r9 ^= %d\nr0 = r9\nexit\n", i+1)
			slot := slices.Index(spilled, false)
			spilled[slot] = true
			held = append(held, open{slot, size})
			fmt.Fprintf(&b, "*(u64 *)(r10 -%d) = r0\n*(u8 *)(r0 +%d) = %d\n", 8*slot+8, r.IntN(size), i)
		case k < 7 && len(held) > 0:
			at := r.IntN(len(held))
			if r.IntN(2) == 0 {
				at = len(held) - 1
			}
			release(&b, held[at])
			flags("r2")
			fmt.Fprintf(&b, "call %d\n", 132+r.IntN(2))
			spilled[held[at].slot] = false
			held = slices.Delete(held, at, at+1)
		case k == 7 && len(held) > 0:
			o := held[r.IntN(len(held))]
			release(&b, o)
			fmt.Fprintf(&b, "r2 = %d\ncall 1000\nr9 += r0\n", o.size)
		case k == 8:
			fmt.Fprintf(&b, "r1 = map[%d]\nr2 = %d\ncall 134\nr9 *= 31\nr9 += r0\n", r.IntN(2), r.IntN(5))
		default:
			fmt.Fprintf(&b, "*(u64 *)(r10 -200) = %d\nr1 = map[%d]\nr2 = r10\nr2 += -200\nr3 = %d\n", i, r.IntN(2), r.IntN(9))
			flags("r4")
			b.WriteString("call 130\nr9 *= 31\nr9 += r0\n")
		}
	}
	for _, o := range held {
		release(&b, o)
		flags("r2")
		b.WriteString("call 132\n")
	}
	b.WriteString("r0 = r9\nexit\n")
	return b.String() + fails.String()
}

// sumHelper adds up what is in memory.
var sumHelper = helpers.New1("sum", func(_ helpers.Env, b []byte) (n uint64) {
	for i, x := range b {
		n += uint64(x) * uint64(i+1)
	}
	return n
})

// TestRings compares engines on programs that fill ring buffers, which are
// emptied now and then.
func TestRings(t *testing.T) { eachProven(t, testRings) }

func testRings(t *testing.T, o vm.Options) {
	n := envInt(t, "SKEP_DIFF_PROGS", 200) / 4
	o.Helpers = map[helpers.ID]*helpers.Func{1000: sumHelper}
	checked := o
	checked.Engine = vm.Checked
	for i := range n {
		seed := uint64(envInt(t, "SKEP_DIFF_SEED", 1) + i)
		r := rand.New(rand.NewPCG(seed, 3))
		text := ringProgram(r)
		var cs [2]*vm.Collection
		var readers [2][]*maps.RingBufReader
		for k, o := range []vm.Options{o, checked} {
			cs[k] = load(t, packetType, text, o, ringSpecs()...)
			for _, s := range ringSpecs() {
				rd, err := maps.NewRingBufReader(cs[k].Map(s.Name))
				if err != nil {
					t.Fatal(err)
				}
				readers[k] = append(readers[k], rd)
			}
		}
		for range 20 {
			pkt := []byte{byte(r.Uint32())}
			got, err := cs[0].Program("p").Run(pkt)
			want, wantErr := cs[1].Program("p").Run(pkt)
			if got != want || err != nil || wantErr != nil {
				t.Fatalf("seed %d: got %#x, %v, checked %#x, %v\n%s", seed, got, err, want, wantErr, text)
			}
			for j := range readers[0] {
				if r.IntN(3) == 0 {
					if got, want := drain(readers[0][j]), drain(readers[1][j]); !slices.EqualFunc(got, want, bytes.Equal) {
						t.Fatalf("seed %d: ring %d has\n%x, checked\n%x\n%s", seed, j, got, want, text)
					}
				}
			}
		}
		cs[0].Close()
		cs[1].Close()
	}
}

// drain returns the records that are there.
func drain(r *maps.RingBufReader) (all [][]byte) {
	done, cancel := context.WithCancel(context.Background())
	cancel()
	for {
		rec, err := r.Read(done)
		if err != nil {
			return all
		}
		all = append(all, rec.Data)
	}
}

// TestRingsEndEarly ends runs that hold records, natively and through helpers, by
// an error, by a panic and by cancellation: none stays open.
func TestRingsEndEarly(t *testing.T) { eachProven(t, testRingsEndEarly) }

func testRingsEndEarly(t *testing.T, o vm.Options) {
	how := 0
	ctx, cancel := context.WithCancel(t.Context())
	o.Helpers = map[helpers.ID]*helpers.Func{1000: {Name: "end", Impl: func(env helpers.Env, _, _, _, _, _ uint64) uint64 {
		switch how {
		case 0:
			env.Abort(errAborted)
		case 1:
			panic("end")
		case 2:
			cancel()
		}
		return 0
	}}}
	o.Rules.AllowUnbounded = true
	o.MaxInsns = -1
	for _, held := range []int{1, 2, 8, 9, 11} {
		var b strings.Builder
		for i := range held {
			fmt.Fprintf(&b, "r1 = map[%d]\nr2 = %d\nr3 = 0\ncall 131\nif r0 == 0 goto fail%d\n*(u64 *)(r10 -%d) = r0\n", i%2, 8+i, i, 8*i+8)
		}
		b.WriteString("call 1000\nr6 = 0\nr6 += 1\nif r6 != 0 goto -2\n")
		for i := held - 1; i >= 0; i-- {
			fmt.Fprintf(&b, "r1 = *(u64 *)(r10 -%d)\nr2 = 0\ncall 132\nfail%d:\n", 8*i+8, i)
		}
		b.WriteString("r0 = 0\nexit\n")
		for how = range 3 {
			ctx, cancel = context.WithCancel(t.Context())
			c := load(t, packetType, b.String(), o, ringSpecs()...)
			func() {
				defer func() {
					if v := recover(); (v != nil) != (how == 1) {
						t.Errorf("%d held, end %d: recovered %v", held, how, v)
					}
				}()
				_, err := c.Program("p").RunContext(ctx, nil)
				if want := [...]error{errAborted, nil, context.Canceled}[how]; !errors.Is(err, want) {
					t.Errorf("%d held, end %d: %v", held, how, err)
				}
			}()
			for _, s := range ringSpecs() {
				rd, _ := maps.NewRingBufReader(c.Map(s.Name))
				if got := drain(rd); got != nil {
					t.Errorf("%d held, end %d: records %x", held, how, got)
				}
				if n := c.Map(s.Name).(maps.RingBuffer).Query(maps.RingBufAvailData); n != 0 {
					t.Errorf("%d held, end %d: ring %s still has %d bytes", held, how, s.Name, n)
				}
			}
			c.Close()
		}
	}
	cancel()
}

// TestRingStress has programs and Go code on several goroutines fill one ring
// buffer, and several readers empty it, some of which sleep. Each record arrives
// once, and those of one producer in order.
func TestRingStress(t *testing.T) { eachProven(t, testRingStress) }

func testRingStress(t *testing.T, o vm.Options) {
	ring := &maps.Spec{Name: "a", Type: maps.RingBuf, MaxEntries: 4096}
	// Two records with the packet's 16 bytes, of which the first is dropped, and
	// the flags that its last byte says; R0 is 1 if there was no room.
	const text = "r2 = *(u32 *)(r1 +0)\nr3 = *(u32 *)(r1 +4)\nr4 = r2\nr4 += 17\nif r4 > r3 goto none\nr6 = *(u64 *)(r2 +0)\nr7 = *(u64 *)(r2 +8)\nr8 = *(u8 *)(r2 +16)\n" +
		"r1 = map[0]\nr2 = 24\nr3 = 0\ncall 131\nif r0 == 0 goto none\nr9 = r0\n*(u64 *)(r9 +16) = 1\n" +
		"r1 = map[0]\nr2 = 16\nr3 = 0\ncall 131\nif r0 == 0 goto drop\n*(u64 *)(r0 +0) = r6\n*(u64 *)(r0 +8) = r7\nr1 = r0\nr2 = r8\ncall 132\n" +
		"r1 = r9\nr2 = 0\ncall 133\nr0 = 0\nexit\ndrop:\nr1 = r9\nr2 = 0\ncall 133\nnone:\nr0 = 1\nexit"
	c := load(t, packetType, text, o, ring)
	const producers = 4
	records := 20_000
	if testing.Short() {
		records = 2_000
	}
	var seen atomic.Int64
	var writing, reading sync.WaitGroup
	rd, err := maps.NewRingBufReader(c.Map("a"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		reading.Add(1)
		go func() {
			defer reading.Done()
			var last [producers]uint64
			var rec maps.Record
			for rd.ReadInto(context.Background(), &rec) == nil {
				who, n := binary.LittleEndian.Uint64(rec.Data), binary.LittleEndian.Uint64(rec.Data[8:])
				if len(rec.Data) != 16 || who >= producers || n <= last[who] {
					t.Errorf("record %x after %d", rec.Data, last)
					return
				}
				last[who] = n
				seen.Add(1)
			}
		}()
	}
	for who := range uint64(producers) {
		writing.Add(1)
		go func() {
			defer writing.Done()
			pkt := binary.LittleEndian.AppendUint64(nil, who)
			for n := uint64(1); n <= uint64(records); n++ {
				pkt = append(binary.LittleEndian.AppendUint64(pkt[:8], n), byte(n)&2)
				for deadline := time.Now().Add(time.Minute); ; {
					var full uint64
					var err error
					if who == 0 {
						if c.Map("a").(maps.RingBuffer).Output(pkt[:16], 0) != nil {
							full = 1
						}
					} else {
						full, err = c.Program("p").Run(pkt)
					}
					if err != nil || time.Now().After(deadline) {
						t.Errorf("producer %d, record %d: %d, %v", who, n, full, err)
						return
					}
					if full == 0 {
						break
					}
					time.Sleep(10 * time.Microsecond)
				}
			}
		}()
	}
	writing.Wait()
	for deadline := time.Now().Add(time.Minute); seen.Load() < int64(producers*records) && time.Now().Before(deadline); {
		time.Sleep(100 * time.Microsecond)
	}
	if seen.Load() != int64(producers*records) {
		t.Errorf("%d records of %d arrived", seen.Load(), producers*records)
	}
	rd.Close()
	reading.Wait()
}

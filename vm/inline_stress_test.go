package vm_test

import (
	"encoding/binary"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skepvm/skep/maps"
)

// heldValues is a program that looks random keys up, 100 per run, and holds
// each value for a while. A value is the key, its complement, and a word that
// programs add to. The program returns how many it found, or -1 if the words of
// one are not, or not any more, those of its key: then the memory was given to
// another key while the run held it. Every eighth time it puts or deletes the
// key itself.
const heldValues = `call 7
r7 = r0
r6 = 0
*(u64 *)(r10 -32) = 0
loop:
r7 *= 1103515245
r7 += 12345
r1 = r7
r1 >>= 20
r1 &= 63
*(u64 *)(r10 -8) = r1
r2 = r1
r2 ^= -1
*(u64 *)(r10 -56) = r1
*(u64 *)(r10 -48) = r2
*(u64 *)(r10 -40) = 0
r2 = r7
r2 >>= 30
r2 &= 15
if r2 == 0 goto put
if r2 == 1 goto remove
r1 = map[0]
r2 = r10
r2 += -8
call 1
if r0 == 0 goto next
r9 = *(u64 *)(r10 -8)
r8 = 0
again:
r1 = *(u64 *)(r0 +0)
# empty
if r1 != r9 goto bad
r1 = *(u64 *)(r0 +8)
# empty
r1 ^= -1
if r1 != r9 goto bad
r1 = 1
lock *(u64 *)(r0 +16) += r1
r8 += 1
if r8 != 40 goto again
r1 = *(u64 *)(r10 -32)
r1 += 1
*(u64 *)(r10 -32) = r1
goto next
put:
r1 = map[0]
r2 = r10
r2 += -8
r3 = r10
r3 += -56
r4 = 0
call 2
goto next
remove:
r1 = map[0]
r2 = r10
r2 += -8
call 3
next:
r6 += 1
if r6 != 100 goto loop
r0 = *(u64 *)(r10 -32)
exit
bad:
r0 = -1
exit`

// TestInlineReclaims: no value changes its key while a run holds it, however
// programs and Go code put and delete keys, and whatever the collector does.
func TestInlineReclaims(t *testing.T) {
	needCompiler(t)
	defer debug.SetGCPercent(debug.SetGCPercent(5))
	d := time.Second
	if testing.Short() {
		d = 150 * time.Millisecond
	}
	for _, spec := range []*maps.Spec{
		{Name: "m", Type: maps.Hash, KeySize: 8, ValueSize: 24, MaxEntries: 8192},
		{Name: "m", Type: maps.Hash, KeySize: 8, ValueSize: 24, MaxEntries: 1 << 20, Flags: maps.NoPrealloc},
		{Name: "m", Type: maps.PerCPUHash, KeySize: 8, ValueSize: 24, MaxEntries: 8192},
	} {
		t.Run(spec.Type.String(), func(t *testing.T) {
			empty := ""
			if spec.Type == maps.PerCPUHash { // a put is for one CPU; the others have zeros
				empty = "if r1 == 0 goto next\n"
			}
			c := load(t, packetType, strings.ReplaceAll(heldValues, "# empty\n", empty), compiled, spec)
			m := c.Map("m")
			var stop atomic.Bool
			var runs, found, puts atomic.Uint64
			var wg sync.WaitGroup
			for range 2 {
				wg.Add(2)
				go func() {
					defer wg.Done()
					for !stop.Load() {
						n, err := c.Program("p").Run(nil)
						if int64(n) < 0 || err != nil {
							t.Errorf("got %d, %v", int64(n), err)
							return
						}
						runs.Add(1)
						found.Add(n)
					}
				}()
				go func() {
					defer wg.Done()
					size := spec.HostValueSize()
					for i := uint64(0); !stop.Load(); i++ {
						k := rand.Uint64N(64)
						key := binary.LittleEndian.AppendUint64(nil, k)
						var value []byte
						for len(value) < size {
							value = binary.LittleEndian.AppendUint64(append(value, key...), ^k)
							value = binary.LittleEndian.AppendUint64(value, 0)
						}
						if i%3 == 0 {
							m.Delete(key)
						} else if err := m.Update(key, value, maps.Any); err == nil {
							puts.Add(1)
						}
						if i%5 == 0 { // the table grows and is replaced
							m.Update(binary.LittleEndian.AppendUint64(nil, 64+rand.Uint64N(4096)), value, maps.Any)
						}
					}
				}()
			}
			time.Sleep(d)
			stop.Store(true)
			wg.Wait()
			if runs.Load() == 0 || found.Load() == 0 || puts.Load() == 0 {
				t.Errorf("%d runs, %d values found, %d put: nothing was tried", runs.Load(), found.Load(), puts.Load())
			}
			t.Logf("%d runs, %d values found, %d put", runs.Load(), found.Load(), puts.Load())
		})
	}
}

// TestWritesAllocateNothing: updates and deletes from machine code.
func TestWritesAllocateNothing(t *testing.T) {
	needCompiler(t)
	const args = "r1 = map[%]\nr2 = r10\nr2 += -8\n"
	const write = args + "r3 = r10\nr3 += -8\nr4 = 0\ncall 2\nif r0 != 0 goto bad\n"
	const remove = args + "call 3\nif r0 != 0 goto bad\n"
	text := "*(u64 *)(r10 -8) = 1\n"
	for _, n := range []string{"0", "1", "2"} {
		text += strings.ReplaceAll(write, "%", n)
	}
	text += strings.ReplaceAll(remove, "%", "2") + "r0 = 0\nexit\nbad:\nexit"
	p := load(t, packetType, text, compiled,
		&maps.Spec{Name: "a", Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 2},
		&maps.Spec{Name: "h", Type: maps.Hash, KeySize: 8, ValueSize: 8, MaxEntries: 2},
		&maps.Spec{Name: "d", Type: maps.Hash, KeySize: 8, ValueSize: 8, MaxEntries: 2}).Program("p")
	run := func() {
		if got, err := p.Run(nil); got != 0 || err != nil {
			t.Fatalf("got %d, %v", got, err)
		}
	}
	for range 1000 {
		run()
	}
	if n := testing.AllocsPerRun(1000, run); n != 0 {
		t.Errorf("%v allocations per run", n)
	}
}

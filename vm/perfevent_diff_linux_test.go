package vm_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// eventData is the size of the value that the program below outputs a part of.
const eventData = 512

// outputEvent outputs as the packet says: flags; 0, or 1 more than what makes the
// flags' index out of the CPU's number; size.
const outputEvent = `
	r6 = r1
	r7 = *(u32 *)(r1 +0)
	r2 = *(u32 *)(r1 +4)
	r0 = -100
	r3 = r7
	r3 += 24
	if r3 > r2 goto out
	r8 = *(u64 *)(r7 +0)
	r9 = *(u64 *)(r7 +8)
	r7 = *(u64 *)(r7 +16)
	if r7 > 512 goto out
	if r9 == 0 goto call
	call 8
	r9 += -1
	r0 ^= r9
	r8 >>= 32
	r8 <<= 32
	r8 |= r0
call:
	r1 = r6
	r2 = map[0]
	r3 = r8
	r4 = map[1][0]+0
	r5 = r7
	call 25
out:
	exit`

// A kernelEvents is the buffer of a CPU's events, from the side that reads them
// (perf_event_open(2)).
type kernelEvents struct {
	fd  int
	mem []byte
}

func newKernelEvents(t *testing.T, cpu int) *kernelEvents {
	t.Helper()
	fd, err := unix.PerfEventOpen(&unix.PerfEventAttr{
		Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_BPF_OUTPUT, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{})),
		Sample_type: unix.PERF_SAMPLE_RAW, Wakeup: 1,
	}, -1, cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		t.Skipf("perf events of CPU %d: %v", cpu, err)
	}
	page := unix.Getpagesize()
	mem, err := unix.Mmap(fd, 0, page+4*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(mem); unix.Close(fd) })
	return &kernelEvents{fd, mem}
}

// next returns the data of the next event, with what the kernel put behind it so
// that it ends at a multiple of 8; nil if there is none.
func (k *kernelEvents) next(t *testing.T) []byte {
	t.Helper()
	meta := (*unix.PerfEventMmapPage)(unsafe.Pointer(&k.mem[0]))
	head, tail := atomic.LoadUint64(&meta.Data_head), meta.Data_tail
	if head == tail {
		return nil
	}
	ring := k.mem[unix.Getpagesize():]
	at := func(pos uint64, n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = ring[(pos+uint64(i))%uint64(len(ring))]
		}
		return b
	}
	header := at(tail, 12)
	if kind := binary.NativeEndian.Uint32(header); kind != unix.PERF_RECORD_SAMPLE {
		t.Fatalf("an event of type %d", kind)
	}
	data := at(tail+12, int(binary.NativeEndian.Uint32(header[8:])))
	atomic.StoreUint64(&meta.Data_tail, tail+uint64(binary.NativeEndian.Uint16(header[6:])))
	return data
}

// TestKernelPerfEventArray compares random operations on perf event arrays: buffers
// that are put in and taken out, what Go code may not do, and events that programs
// output, with what readers get of them.
func TestKernelPerfEventArray(t *testing.T) {
	oracle.Skip(t)
	cpus, err := oracle.PossibleCPUs()
	if err != nil || cpus != maps.NumCPU() || cpus < 2 {
		t.Skipf("%d possible CPUs, %d virtual ones, %v", cpus, maps.NumCPU(), err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	one.Set(0)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Skip(err)
	}
	defer unix.SchedSetaffinity(0, &before)

	specs := []*maps.Spec{
		{Name: "events", Type: maps.PerfEventArray, KeySize: 4, ValueSize: 4, MaxEntries: uint32(cpus)},
		{Name: "data", Type: maps.Array, KeySize: 4, ValueSize: eventData, MaxEntries: 1},
	}
	var buffers []*kernelEvents
	for cpu := range cpus {
		buffers = append(buffers, newKernelEvents(t, cpu))
	}
	ended, end := context.WithCancel(context.Background())
	end()
	ops := envInt(t, "SKEP_DIFF_OPS", 3000)
	counts := map[string]int{}
	for at, e := range usable(t) {
		var theirs []*oracle.Map
		for _, s := range specs {
			m, err := oracle.NewMap(s, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(m.Close)
			theirs = append(theirs, m)
		}
		kernel, log, err := oracle.Load(oracle.LoadOptions{Type: oracle.XDP, Insns: assemble(t, outputEvent), Maps: theirs})
		if err != nil {
			t.Fatalf("%v\n%s", err, log)
		}
		t.Cleanup(kernel.Close)
		c := load(t, linux.Platform.Type("xdp"), outputEvent, vm.Options{Engine: e}, specs...)
		m := c.Map("events")
		var reader *maps.PerfReader
		r := rand.New(rand.NewPCG(uint64(at), 11))
		data := make([]byte, eventData)
		pkt := make([]byte, 64)
		for step := range ops / len(usable(t)) {
			if step%16 == 0 {
				for i := range data {
					data[i] = byte(r.Uint32())
				}
				for i := range pkt {
					pkt[i] = byte(r.Uint32())
				}
				if err := c.Map("data").Update(make([]byte, 4), data, 0); err != nil {
					t.Fatal(err)
				}
				if err := theirs[1].Update(make([]byte, 4), data, 0); err != nil {
					t.Fatal(err)
				}
			}
			var op string
			var got, want error
			a, b := make([]byte, 4), make([]byte, 4)
			key := binary.NativeEndian.AppendUint32(nil, r.Uint32N(uint32(cpus)+2))
			switch k := r.IntN(40); k {
			case 0:
				op = "put in"
				old := reader
				if reader, err = maps.NewPerfReader(m, 4096); err != nil {
					t.Fatal(err)
				}
				if old != nil {
					old.Close() // its buffers are not there any more
				}
				for cpu, b := range buffers {
					if err := theirs[0].Update(word(uint32(cpu)), word(uint32(b.fd)), 0); err != nil {
						t.Fatal(err)
					}
				}
			case 1:
				op = "take out"
				for cpu := range cpus {
					got, want := m.Delete(word(uint32(cpu))), theirs[0].Delete(word(uint32(cpu)))
					if numberOf(got) != numberOf(want) {
						t.Fatalf("step %d, delete %d: %v, the kernel: %v", step, cpu, got, want)
					}
				}
			case 2:
				op, got, want = "lookup", m.Lookup(key, a), theirs[0].Lookup(key, b, 0)
			case 3:
				op, got, want = "next key", m.NextKey(key, a), theirs[0].NextKey(key, b)
				if string(a) != string(b) {
					t.Fatalf("step %d, next key of %x: %x, the kernel: %x", step, key, a, b)
				}
			case 4:
				flags := maps.UpdateFlags(r.IntN(5))
				op, got, want = "update", m.Update(key, word(1<<30), flags), theirs[0].Update(key, word(1<<30), flags)
			case 5:
				op, got, want = "lookup and delete", m.(maps.LookupDeleter).LookupAndDelete(key, a), theirs[0].LookupAndDelete(key, b, 0)
			default:
				op = "output"
				size := r.Uint64N(64)
				if k < 15 {
					size = r.Uint64N(eventData + 2)
				}
				flags, mode := uint64(1<<32-1), uint64(0)
				switch r.IntN(8) {
				case 0:
					mode = 1 + r.Uint64N(2) // this CPU, or the other
				case 1:
					flags = uint64(cpus) + r.Uint64N(5)
				}
				switch r.IntN(6) {
				case 0:
					flags |= r.Uint64N(80) << 32 // of the packet, too
				case 1:
					if k < 8 {
						flags |= 1 << (52 + r.IntN(12))
					}
				}
				binary.NativeEndian.PutUint64(pkt, flags)
				binary.NativeEndian.PutUint64(pkt[8:], mode)
				binary.NativeEndian.PutUint64(pkt[16:], size)
				res, err := kernel.Run(oracle.RunInput{Data: pkt})
				if err != nil {
					t.Fatal(err)
				}
				r0, err := c.Program("p").Run(pkt)
				if err != nil || uint32(r0) != res.Retval {
					t.Fatalf("%s, step %d, output of %d with flags %#x, mode %d: %d, %v; the kernel: %d", e, step, size, flags, mode, int32(r0), err, int32(res.Retval))
				}
				counts[fmt.Sprintf("result %d", int32(r0))]++
				wantData := buffers[0].next(t)
				if (wantData != nil) != (r0 == 0) || buffers[0].next(t) != nil {
					t.Fatalf("step %d: the kernel has an event: %v", step, wantData != nil)
				}
				if r0 != 0 {
					break
				}
				rec, err := reader.Read(ended)
				n := int(size + flags>>32&0xfffff)
				if err != nil || rec.Lost != 0 || len(rec.Data) != n {
					t.Fatalf("%s, step %d: an event of %d bytes, %d lost, %v; want %d", e, step, len(rec.Data), rec.Lost, err, n)
				}
				if padded := (n+4+7)&^7 - 4; len(wantData) != padded || string(rec.Data) != string(wantData[:n]) {
					t.Fatalf("%s, step %d: event\n%x, the kernel's\n%x", e, step, rec.Data, wantData)
				}
			}
			counts[op]++
			if numberOf(got) != numberOf(want) {
				t.Fatalf("%s, step %d, %s %x: %v, the kernel: %v", e, step, op, key, got, want)
			}
		}
		if reader != nil {
			if rec, err := reader.Read(ended); err == nil {
				t.Errorf("%s: an event is left: %x", e, rec.Data)
			}
		}
		c.Close()
	}
	t.Logf("%d operations: %v", ops, counts)
}

// numberOf returns the error number in err, 0 for nil.
func numberOf(err error) (e errno.Errno) {
	if err != nil && !errors.As(err, &e) {
		panic("an error without a number: " + err.Error())
	}
	return e
}

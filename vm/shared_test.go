package vm_test

import (
	"sync"
	"testing"

	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// TestHelpersWriteSharedMemory runs helpers that write to the same map value
// at the same time. For the race detector, too, that is the programs' affair.
func TestHelpersWriteSharedMemory(t *testing.T) {
	value := &maps.Spec{Name: "value", Type: maps.Array, KeySize: 4, ValueSize: 64, MaxEntries: 1}
	text := &maps.Spec{
		Name: "text", Type: maps.Array, KeySize: 4, ValueSize: 16, MaxEntries: 1, Flags: maps.ReadOnlyProg, Frozen: true,
		Contents: []maps.Entry{{Key: make([]byte, 4), Value: []byte("%%|%5d|%-5d|%s\x00\x00")}},
	}
	coll := load(t, linux.XDP, lines(
		"r9 = r1",
		"r6 = map[0][0]+0",
		"r7 = map[1][0]+0",
		"*(u64 *)(r10 -8) = 49", // "1"
		"*(u64 *)(r10 -16) = 7",
		"*(u64 *)(r10 -24) = 8",
		"*(u64 *)(r10 -32) = r7",
		// strtol("1", 1, 10, value)
		"r1 = r10", "r1 += -8", "r2 = 1", "r3 = 10", "r4 = r6", "call 105",
		// snprintf(value, 64, text, {8, 7, "1"}, 24)
		"*(u64 *)(r10 -32) = 8",
		"*(u64 *)(r10 -24) = 7",
		"r1 = r10", "r1 += -8", "*(u64 *)(r10 -16) = r1",
		"r1 = r6", "r2 = 64", "r3 = r7", "r4 = r10", "r4 += -32", "r5 = 24", "call 165",
		// get_current_comm(value, 16)
		"r1 = r6", "r2 = 16", "call 16",
		// xdp_load_bytes(ctx, 0, value, 8)
		"r1 = r9", "r2 = 0", "r3 = r6", "r4 = 8", "call 189",
		"r0 = *(u64 *)(r6 +0)",
		"exit",
	), vm.Options{}, value, text)
	p := coll.Program("p")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				r0, err := p.Run([]byte{1, 2, 3, 4, 5, 6, 7, 8})
				if err != nil {
					t.Error(err)
					return
				}
				_ = r0 // whatever the others have left there
			}
		})
	}
	wg.Wait()
}

// TestReserveNothing checks a reservation of no bytes against Linux 6.18: it
// has an address, takes the 8 bytes of its header, and can be given back.
func TestReserveNothing(t *testing.T) {
	ring := &maps.Spec{Name: "ring", Type: maps.RingBuf, MaxEntries: 4096}
	for _, test := range []struct {
		name string
		then []string
	}{
		{"submitted", []string{"r1 = r0", "r2 = 0", "call 132"}},
		{"discarded", []string{"r1 = r0", "r2 = 0", "call 133"}},
		{"lost", nil}, // the end of the run gives it back
	} {
		t.Run(test.name, func(t *testing.T) {
			text := []string{"r1 = map[0]", "r2 = 0", "r3 = 0", "call 131", "if r0 == 0 goto none"}
			text = append(text, test.then...)
			text = append(text, "r1 = map[0]", "r2 = 3", "call 134", "exit", "none:", "r0 = -1", "exit")
			coll := load(t, packetType, lines(text...), unproven, ring)
			for i := uint64(1); i <= 3; i++ {
				if pos, err := coll.Program("p").Run(nil); pos != 8*i || err != nil {
					t.Fatalf("run %d: producer position %d, %v; want %d", i, int64(pos), err, 8*i)
				}
			}
			if open := coll.Map("ring").(maps.RingBuffer).Query(maps.RingBufAvailData); open != 24 {
				t.Errorf("%d bytes wait for the reader, want 24", open)
			}
		})
	}
}

// TestMaxBytesRingBuf: a ring buffer takes twice its size.
func TestMaxBytesRingBuf(t *testing.T) {
	ring := &maps.Spec{Name: "ring", Type: maps.RingBuf, MaxEntries: 4096}
	for limit, fits := range map[int64]bool{8191: false, 8192: true} {
		p, err := prog.FromInsns("p", packetType, assemble(t, "r1 = map[0]\nr0 = 0\nexit"), []*maps.Spec{ring})
		if err != nil {
			t.Fatal(err)
		}
		c, err := vm.LoadProgram(p, vm.Options{MaxBytes: limit})
		if fits != (err == nil) {
			t.Errorf("MaxBytes %d: %v", limit, err)
		}
		if err == nil {
			c.Close()
		}
	}
}

package vm

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"slices"

	"github.com/skepvm/skep/internal/mem"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// disturb does to the maps what other CPUs and the host may do at any moment.
func (w *watcher) disturb(a *activation) {
	if len(a.maps) == 0 {
		return
	}
	m := a.maps[w.r.IntN(len(a.maps))]
	spec := m.Spec()
	if !disturbable(spec) {
		return
	}
	key := w.key[:spec.KeySize]
	clear(key)
	key[0] = byte(w.r.IntN(int(spec.MaxEntries) + 2))
	if w.r.IntN(6) == 0 {
		_ = m.DeleteElem(0, key)
		return
	}
	if n := int(spec.HostValueSize()); len(w.value) != n {
		w.value = make([]byte, n)
	}
	if old := m.LookupElem(0, key); len(old) == len(w.value) {
		mem.CopyShared(w.value, old)
	}
	at := w.r.IntN(len(w.value))
	a.h.fill(w.value[at:min(len(w.value), at+1+w.r.IntN(16))])
	_ = m.UpdateElem(0, key, w.value, 0)
}

// disturbable reports whether the host may write to a map of spec.
func disturbable(spec *maps.Spec) bool {
	return (spec.Type == maps.Array || spec.Type == maps.Hash) && spec.Flags == 0 && !spec.Frozen && spec.KeySize <= 8
}

// A hostility makes input for one program: numbers at which comparisons and
// arithmetic change, those that the program itself mentions among them.
type hostility struct {
	r       *rand.Rand
	numbers []uint64 // immediates of the program; none: no program is known
}

func newHostility(r *rand.Rand, insns []prog.Insn) *hostility {
	h := &hostility{r: r}
	for _, in := range insns {
		if in.Imm != 0 && !slices.Contains(h.numbers, uint64(int64(in.Imm))) {
			h.numbers = append(h.numbers, uint64(int64(in.Imm)))
		}
	}
	return h
}

// number returns one number: of the program, or next to one, or at an edge of
// some width, or any.
func (h *hostility) number() uint64 {
	if len(h.numbers) > 0 && h.r.IntN(2) == 0 {
		return h.numbers[h.r.IntN(len(h.numbers))] + uint64(h.r.IntN(3)) - 1
	}
	switch h.r.IntN(4) {
	case 0:
		return uint64(h.r.IntN(16))
	case 1:
		return uint64(1)<<h.r.IntN(64) + uint64(h.r.IntN(3)) - 1
	case 2:
		return ^uint64(h.r.IntN(16))
	}
	return h.r.Uint64() >> h.r.IntN(64)
}

// fill overwrites b with such numbers, of all sizes and in both byte orders.
func (h *hostility) fill(b []byte) {
	var word [8]byte
	for len(b) > 0 {
		x, n := h.number(), 1<<h.r.IntN(4)
		if h.r.IntN(3) == 0 {
			binary.BigEndian.PutUint64(word[:], x<<(64-8*n))
		} else {
			binary.LittleEndian.PutUint64(word[:], x)
		}
		b = b[copy(b, word[:n]):]
	}
}

// packet returns a packet that the program does not expect, or usual, which it
// does.
func (h *hostility) packet(usual []byte) any {
	if h.r.IntN(4) == 0 {
		return slices.Clone(usual)
	}
	n := []int{0, 1, 2, 13, 14, 15, 34, 63, 64, 65, 200, len(usual)}[h.r.IntN(12)]
	if x := h.number(); x < 300 {
		n = int(x)
	}
	b := make([]byte, n)
	h.fill(b)
	if h.r.IntN(2) == 0 {
		return b
	}
	return NewPacket(b, 32*h.r.IntN(3), 32*h.r.IntN(3))
}

// hostilePackets returns a packet for a program of which nothing is known.
func hostilePackets(r *rand.Rand, usual []byte) any { return (&hostility{r: r}).packet(usual) }

// drain takes most of what the last run left in ring buffers.
func (w *watcher) drain() {
	done, cancel := context.WithCancel(context.Background())
	cancel()
	for _, d := range w.proofs {
		for _, m := range d.maps {
			if m.Spec().Type != maps.RingBuf || w.r.IntN(4) == 0 {
				continue
			}
			r, err := maps.NewRingBufReader(m)
			if err != nil {
				continue
			}
			for rec := (maps.Record{}); r.ReadInto(done, &rec) == nil; {
			}
			r.Close()
		}
	}
}

// send leaves records for the program in a user ring buffer, if it has one.
func (h *hostility) send(c *Collection) {
	m := c.maps["user"]
	if m == nil || h.r.IntN(2) == 0 {
		return
	}
	user, err := maps.NewUserRingBufProducer(m)
	if err != nil {
		return
	}
	for range 1 + h.r.IntN(3) {
		if b, err := user.Reserve(h.r.IntN(24)); err == nil {
			h.fill(b)
			_ = user.Submit(b)
		}
	}
}

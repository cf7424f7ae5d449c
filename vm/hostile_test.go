package vm

import (
	"math/rand/v2"
	"slices"

	"github.com/skepvm/skep/maps"
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
		copy(w.value, old)
	}
	for range 1 + w.r.IntN(4) {
		w.value[w.r.IntN(len(w.value))] = hostileByte(w.r)
	}
	_ = m.UpdateElem(0, key, w.value, 0)
}

// disturbable reports whether the host may write to a map of spec.
func disturbable(spec *maps.Spec) bool {
	return (spec.Type == maps.Array || spec.Type == maps.Hash) && spec.Flags == 0 && !spec.Frozen && spec.KeySize <= 8
}

// hostileByte returns a byte where comparisons and arithmetic change.
func hostileByte(r *rand.Rand) byte {
	return []byte{0, 1, 0x7f, 0x80, 0xff, byte(r.Uint32()), byte(r.Uint32())}[r.IntN(7)]
}

// hostilePackets are packets that programs do not expect, and one that they do.
func hostilePackets(r *rand.Rand, usual []byte) any {
	n := []int{0, 1, 2, 13, 14, 15, 34, 63, 64, 65, 200, len(usual)}[r.IntN(12)]
	if r.IntN(3) == 0 {
		return slices.Clone(usual)
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = hostileByte(r)
	}
	if r.IntN(2) == 0 {
		return b
	}
	return NewPacket(b, 32*r.IntN(3), 32*r.IntN(3))
}

package linear

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/maps"
)

// An opKind is what an operation does.
type opKind uint32

const (
	opLookup opKind = iota // peek, of a queue
	opUpdate               // push
	opDelete
	opTake // lookup and delete; pop
	opAdd  // a program's atomic addition to a value, which it finds first
)

var opNames = [...]string{"lookup", "update", "delete", "take", "add"}

// An input is what is asked for. Keys are small numbers, values are never 0.
type input struct {
	kind  opKind
	key   uint32
	value uint64
	flags maps.UpdateFlags
}

func (in input) String() string {
	return fmt.Sprintf("%s %d, value %d, flags %d", opNames[in.kind], in.key, in.value, in.flags)
}

// An output is what came of it: the value that was found, and an error.
type output struct {
	value uint64
	err   errno.Errno
}

// result is an output that succeeds or fails with e, if it is not 0.
func result(v uint64, e errno.Errno) output {
	if e != 0 {
		v = 0
	}
	return output{v, e}
}

// A model has states that are strings. step returns what in has to give in a
// state, and the state after it.
func model(init string, byKey bool, step func(state string, in input) (output, string)) porcupine.Model {
	m := porcupine.Model{
		Init: func() any { return init },
		Step: func(state, in, out any) (bool, any) {
			want, next := step(state.(string), in.(input))
			return want == out.(output), next
		},
		DescribeOperation: func(in, out any) string { return fmt.Sprintf("%v: %+v", in, out) },
	}
	if byKey {
		m.Partition = func(history []porcupine.Operation) [][]porcupine.Operation {
			parts := map[uint32][]porcupine.Operation{}
			for _, op := range history {
				k := op.Input.(input).key
				parts[k] = append(parts[k], op)
			}
			var list [][]porcupine.Operation
			for _, p := range parts {
				list = append(list, p)
			}
			return list
		}
	}
	return m
}

func number(v uint64) string  { return string(binary.LittleEndian.AppendUint64(nil, v)) }
func valueOf(s string) uint64 { return binary.LittleEndian.Uint64([]byte(s)) }

// hashModel is one key of a hash: its value, or "".
var hashModel = model("", true, func(state string, in input) (output, string) {
	switch in.kind {
	case opUpdate:
		switch {
		case in.flags == maps.NoExist && state != "":
			return output{err: errno.EEXIST}, state
		case in.flags == maps.Exist && state == "":
			return output{err: errno.ENOENT}, state
		}
		return output{}, number(in.value)
	case opAdd:
		if state == "" {
			return output{err: errno.ENOENT}, state
		}
		return output{value: valueOf(state)}, number(valueOf(state) + in.value)
	}
	if state == "" {
		return output{err: errno.ENOENT}, state
	}
	switch in.kind {
	case opLookup:
		return output{value: valueOf(state)}, state
	case opTake:
		return output{value: valueOf(state)}, ""
	}
	return output{}, ""
})

// arrayModel is one entry of an array, which starts as 0.
var arrayModel = model(number(0), true, func(state string, in input) (output, string) {
	switch in.kind {
	case opUpdate:
		return output{}, number(in.value)
	case opAdd:
		return output{value: valueOf(state)}, number(valueOf(state) + in.value)
	}
	return output{value: valueOf(state)}, state
})

// queueEntries is how many values the queues and stacks here hold.
const queueEntries = 3

// queueModel is the values in a queue or a stack, the oldest first.
func queueModel(lifo bool) porcupine.Model {
	return model("", false, func(state string, in input) (output, string) {
		if in.kind == opUpdate {
			if len(state) == 8*queueEntries {
				if in.flags&maps.Exist == 0 {
					return output{err: errno.E2BIG}, state
				}
				state = state[8:]
			}
			return output{}, state + number(in.value)
		}
		if state == "" {
			return output{err: errno.ENOENT}, state
		}
		at, rest := state[:8], state[8:]
		if lifo {
			at, rest = state[len(state)-8:], state[:len(state)-8]
		}
		if in.kind == opLookup {
			rest = state
		}
		return output{value: valueOf(at)}, rest
	})
}

// ringEntries is how many records the ring buffers here hold: of 4096 bytes, of
// which one has to stay free, with 64 bytes and a header in each.
const ringEntries = 4095 / (8 + 64)

// ringModel is the records in a ring buffer, in the order in which room was made
// for them. That a reader finds nothing says nothing: a record that was reserved
// before may be open. That a writer finds no room says that none is left.
var ringModel = model("", false, func(state string, in input) (output, string) {
	if in.kind == opUpdate {
		if len(state) == 8*ringEntries {
			return output{err: errno.EAGAIN}, state
		}
		return output{}, state + number(in.value)
	}
	if state == "" {
		return output{err: errno.ENOENT}, state
	}
	return output{value: valueOf(state)}, state[8:]
})

// A trie here has the prefixes of one address whose lengths are these, by key.
var prefixes = [...]uint32{0, 8, 13, 16, 24, 32}

// trieModel is the values of the prefixes, 0 for none. A lookup is for the whole
// address, of the first key bits.
var trieModel = model(string(make([]byte, 8*len(prefixes))), false, func(state string, in input) (output, string) {
	at := int(in.key) * 8
	with := func(v uint64) string { return state[:at] + number(v) + state[at+8:] }
	has := valueOf(state[at:]) != 0
	switch in.kind {
	case opUpdate:
		switch {
		case in.flags == maps.NoExist && has:
			return output{err: errno.EEXIST}, state
		case in.flags == maps.Exist && !has:
			return output{err: errno.ENOENT}, state
		}
		return output{}, with(in.value)
	case opDelete:
		if !has {
			return output{err: errno.ENOENT}, state
		}
		return output{}, with(0)
	}
	for ; at >= 0; at -= 8 {
		if v := valueOf(state[at:]); v != 0 {
			return output{value: v}, state
		}
	}
	return output{err: errno.ENOENT}, state
})

// TestModels checks that histories which no order explains are found.
func TestModels(t *testing.T) {
	// seq is operations one after the other; with overlap the last two overlap.
	type done struct {
		in  input
		out output
	}
	put := func(key uint32, v uint64) done { return done{input{kind: opUpdate, key: key, value: v}, output{}} }
	find := func(kind opKind, key uint32, v uint64) done {
		return done{input{kind: kind, key: key}, output{value: v}}
	}
	none := func(kind opKind, key uint32) done {
		return done{input{kind: kind, key: key}, output{err: errno.ENOENT}}
	}
	for _, tc := range []struct {
		name  string
		model porcupine.Model
		ops   []done
		bad   bool
	}{
		{"hash", hashModel, []done{put(1, 5), find(opLookup, 1, 5), find(opTake, 1, 5), none(opLookup, 1)}, false},
		{"hash, stale", hashModel, []done{put(1, 5), put(1, 6), find(opLookup, 1, 5)}, true},
		{"hash, taken twice", hashModel, []done{put(1, 5), find(opTake, 1, 5), find(opTake, 1, 5)}, true},
		{"array, lost addition", arrayModel, []done{put(1, 5), {input{kind: opAdd, key: 1, value: 2}, output{value: 5}}, find(opLookup, 1, 5)}, true},
		{"queue", queueModel(false), []done{put(0, 1), put(0, 2), find(opTake, 0, 1), find(opTake, 0, 2), none(opTake, 0)}, false},
		{"queue, wrong end", queueModel(false), []done{put(0, 1), put(0, 2), find(opTake, 0, 2)}, true},
		{"stack", queueModel(true), []done{put(0, 1), put(0, 2), find(opTake, 0, 2), find(opTake, 0, 1)}, false},
		{"stack, wrong end", queueModel(true), []done{put(0, 1), put(0, 2), find(opTake, 0, 1)}, true},
		{"queue, no room", queueModel(false), []done{put(0, 1), put(0, 2), put(0, 3), put(0, 4)}, true},
		{"ring, no room", ringModel, []done{put(0, 1), {input{kind: opUpdate, value: 2}, output{err: errno.EAGAIN}}, find(opTake, 0, 1)}, true},
		{"ring, lost", ringModel, []done{put(0, 1), put(0, 2), find(opTake, 0, 1), put(0, 3), find(opTake, 0, 3)}, true},
		{"ring, out of order", ringModel, []done{put(0, 1), put(0, 2), find(opTake, 0, 2)}, true},
		{"trie", trieModel, []done{put(1, 5), put(3, 6), find(opLookup, 4, 6), find(opLookup, 2, 5)}, false},
		{"trie, too short", trieModel, []done{put(1, 5), put(3, 6), find(opLookup, 4, 5)}, true},
	} {
		history := make([]porcupine.Operation, len(tc.ops))
		for i, op := range tc.ops {
			history[i] = porcupine.Operation{Input: op.in, Output: op.out, Call: int64(2 * i), Return: int64(2*i + 1)}
		}
		if ok := porcupine.CheckOperations(tc.model, history); ok == tc.bad {
			t.Errorf("%s: linearizable: %v", tc.name, ok)
		}
	}
	if bits.Len(uint(len(prefixes))) > 3 {
		t.Error("keys of a trie have three bits")
	}
}

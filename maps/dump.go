package maps

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/errno"
)

// WriteJSON writes the entries of m as bpftool map dump -j prints them, one line
// in all:
//
//	[{"key":["0x01",…],"value":["0x02",…],"formatted":{"key":1,"value":{"packets":2}}},…]
//
// "formatted" is there if the map has BTF: see btf.Type.AppendBpftool. Entries
// of per-CPU maps have "values" in the place of "value", a list of objects with
// "cpu" and "value". What bpftool cannot dump is like it: the values of queues
// and stacks, next first, have no "key". Of maps of maps and of programs the
// values are the numbers that Lookup gives.
//
// The map is walked as Walk says; the values of a queue or a stack stay in it.
// ENOTSUPP: a map of this type holds no entries.
func WriteJSON(w io.Writer, m Map) error {
	d := dumper{w: w, spec: m.Spec(), line: []byte("[")}
	err := d.entries(m)
	if err == nil {
		err = d.err
	}
	if err != nil {
		return fmt.Errorf("map %q: dump: %w", d.spec.Name, err)
	}
	d.line = append(d.line, "]\n"...)
	_, err = w.Write(d.line)
	return err
}

// A dumper writes entries, one at a time.
type dumper struct {
	w    io.Writer
	spec *Spec
	line []byte // what is not written yet
	n    int    // entries so far
	err  error  // of w
}

func (d *dumper) entries(m Map) error {
	switch m := m.(type) {
	case *queue:
		return d.queue(m)
	case RingBuffer, EventArray:
		return errno.ENOTSUPP
	}
	err := Walk(m, d.entry)
	if errors.Is(err, errno.EINVAL) && d.spec.KeySize == 0 {
		return errno.ENOTSUPP
	}
	return err
}

func (d *dumper) queue(m *queue) error {
	if err := m.mayRead(); err != nil {
		return err
	}
	values := slices.Collect(slices.Chunk(m.values(), m.value.size))
	if m.lifo {
		slices.Reverse(values)
	}
	for _, v := range values {
		if !d.entry(nil, v) {
			break
		}
	}
	return nil
}

// entry adds one entry.
func (d *dumper) entry(key, value []byte) bool {
	if d.n++; d.n > 1 {
		d.text(",")
	}
	d.text("{")
	if key != nil {
		d.text(`"key":`)
		d.bytes(key)
		d.text(",")
	}
	d.value(value, d.bytes)
	if d.spec.Value != nil || key != nil && d.spec.Key != nil {
		d.text(`,"formatted":{`)
		if key != nil && d.spec.Key != nil {
			d.text(`"key":`)
			d.typed(d.spec.Key)(key)
			d.text(",")
		}
		if d.spec.Value != nil {
			d.value(value, d.typed(d.spec.Value))
		} else {
			d.value(value, d.bytes)
		}
		d.text("}")
	}
	d.text("}")
	if len(d.line) > 4096 {
		_, d.err = d.w.Write(d.line)
		d.line = d.line[:0]
	}
	return d.err == nil
}

func (d *dumper) text(s string) { d.line = append(d.line, s...) }

// value adds a value, or those of all CPUs, each as print does.
func (d *dumper) value(value []byte, print func([]byte)) {
	size := int(d.spec.ValueSize)
	if !d.spec.perCPU() {
		d.text(`"value":`)
		print(value)
		return
	}
	d.text(`"values":[`)
	for cpu := range NumCPU() {
		if cpu > 0 {
			d.text(",")
		}
		d.line = fmt.Appendf(d.line, `{"cpu":%d,"value":`, cpu)
		print(value[cpu*roundUp8(size):][:size])
		d.text("}")
	}
	d.text("]")
}

// bytes adds a list of bytes.
func (d *dumper) bytes(b []byte) {
	const digits = "0123456789abcdef"
	d.text("[")
	for i, c := range b {
		if i > 0 {
			d.text(",")
		}
		d.line = append(d.line, '"', '0', 'x', digits[c>>4], digits[c&15], '"')
	}
	d.text("]")
}

// typed returns what adds a value of type t.
func (d *dumper) typed(t *btf.Type) func([]byte) {
	return func(b []byte) { d.line = t.AppendBpftool(d.line, b) }
}

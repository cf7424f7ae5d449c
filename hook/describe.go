package hook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/helpers"
)

// A description is the JSON form of a typed context's Type: all that a tool
// needs to verify and run programs of that type away from their host.
type description struct {
	Name        string            `json:"name"`
	Size        uint32            `json:"size"`
	Fields      []describedField  `json:"fields"`
	Return      *[2]int64         `json:"return,omitempty"` // absent: anything
	PacketWrite bool              `json:"packet_write,omitempty"`
	Verdicts    map[string]string `json:"verdicts,omitempty"`
	Sections    []string          `json:"sections,omitempty"`
	Helpers     []describedFunc   `json:"helpers,omitempty"`
	Kfuncs      []describedFunc   `json:"kfuncs,omitempty"`
}

// A describedField is a member: {"name": "method", "offset": 16, "type":
// "u32"}. Types are u8 to u64, s8 to s64, bool, an array of the integers such
// as "u8[16]", "packet" for a pointer and an end pointer, and "struct" with
// fields inside.
type describedField struct {
	Name     string           `json:"name"`
	Offset   uint32           `json:"offset"` // from the start of the context
	Type     string           `json:"type"`
	Writable bool             `json:"writable,omitempty"`
	Fields   []describedField `json:"fields,omitempty"`
}

type describedFunc struct {
	ID    helpers.ID    `json:"id,omitempty"`
	Name  string        `json:"name"`
	Proto helpers.Proto `json:"proto"`
}

// Describe returns the JSON description of t, which must come from Define or
// ParseDescription.
func (t *Type) Describe() ([]byte, error) {
	if t.BTF == nil {
		return nil, fmt.Errorf("program type %s: only types that Define made have a description", t.Name)
	}
	d := description{
		Name:        t.Name,
		Size:        t.Ctx.Size,
		Fields:      t.describeFields(t.BTF, 0),
		PacketWrite: t.PacketWrite,
		Sections:    t.Sections,
	}
	if t.Return != AnyReturn {
		d.Return = &[2]int64{t.Return.Min, t.Return.Max}
	}
	if len(t.Verdicts) > 0 {
		d.Verdicts = map[string]string{}
	}
	for v, name := range t.Verdicts {
		d.Verdicts[strconv.FormatInt(v, 10)] = name
	}
	for _, id := range t.Helpers.IDs() {
		f := t.Helpers.Helper(id)
		d.Helpers = append(d.Helpers, describedFunc{id, f.Name, f.Proto})
	}
	for _, name := range t.Helpers.Kfuncs() {
		f := t.Helpers.Kfunc(name)
		d.Kfuncs = append(d.Kfuncs, describedFunc{0, name, f.Proto})
	}
	b, err := json.MarshalIndent(&d, "", "\t")
	return append(b, '\n'), err
}

func (t *Type) describeFields(s *btf.Type, base uint32) []describedField {
	var out []describedField
	for i := 0; i < len(s.Members); i++ {
		m := s.Members[i]
		off := base + m.Offset/8
		f := describedField{Name: m.Name, Offset: off}
		switch u := m.Type.Underlying(); u.Kind {
		case btf.Struct:
			f.Type = "struct"
			f.Fields = t.describeFields(u, off)
		case btf.Array:
			f.Type = fmt.Sprintf("%s[%d]", intName(u.Elem), u.Len)
		case btf.Ptr:
			f.Type = "packet"
			i++ // its end
		default:
			f.Type = intName(u)
		}
		if c := t.Ctx.At(off); c != nil {
			f.Writable = f.Fields == nil && c.Write != 0
		}
		out = append(out, f)
	}
	return out
}

func intName(t *btf.Type) string {
	switch {
	case t.Bool:
		return "bool"
	case t.Signed:
		return "s" + strconv.Itoa(int(t.Size)*8)
	}
	return "u" + strconv.Itoa(int(t.Size)*8)
}

// maxDescription bounds what ParseDescription reads.
const maxDescription = 1 << 20

// ParseDescription makes a Type of the JSON that Describe wrote. Helpers that
// package helpers has under the same number and name run as there; the others
// are declared only. A run of the type takes a packet if the context has one,
// and the context's bytes otherwise.
func ParseDescription(b []byte) (*Type, error) {
	if len(b) > maxDescription {
		return nil, fmt.Errorf("hook description: %d bytes; %d is the most", len(b), maxDescription)
	}
	var d description
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return nil, fmt.Errorf("hook description: %w", err)
	}
	if dec.More() {
		return nil, errors.New("hook description: more than one JSON value")
	}
	t, err := d.parse()
	if err != nil {
		return nil, fmt.Errorf("hook description %q: %w", d.Name, err)
	}
	return t, nil
}

func (d *description) parse() (*Type, error) {
	if !isIdentifier(d.Name) {
		return nil, errors.New("the name is not a C identifier")
	}
	t := &Type{Name: d.Name, Input: InputContext, Return: AnyReturn, Sections: d.Sections, PacketWrite: d.PacketWrite}
	root := member{name: d.Name, kind: memberStruct}
	if err := root.parseFields(d.Fields, 0); err != nil {
		return nil, err
	}
	if err := t.setLayout(&root); err != nil {
		return nil, err
	}
	if err := sameOffsets(&root, d.Fields); err != nil {
		return nil, err
	}
	if t.Ctx.Size != d.Size {
		return nil, fmt.Errorf("the fields make %d bytes, not %d", t.Ctx.Size, d.Size)
	}
	if root.packet() != nil {
		t.Input = InputPacket
	}
	if d.Return != nil {
		t.Return = Range{d.Return[0], d.Return[1]}
	}
	for text, name := range d.Verdicts {
		v, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("verdict %q: %w", text, err)
		}
		if t.Verdicts == nil {
			t.Verdicts = map[int64]string{}
		}
		t.Verdicts[v] = name
	}
	if err := d.parseFuncs(t); err != nil {
		return nil, err
	}
	return t, t.Check()
}

func (d *description) parseFuncs(t *Type) error {
	byID, byName := map[helpers.ID]*helpers.Func{}, map[string]*helpers.Func{}
	for _, h := range d.Helpers {
		f := &helpers.Func{Name: h.Name, Proto: h.Proto}
		if std := helpers.Base().Helper(h.ID); std != nil && std.Name == h.Name {
			f.Impl = std.Impl
		}
		if err := f.Check(); err != nil {
			return err
		}
		byID[h.ID] = f
	}
	for _, k := range d.Kfuncs {
		f := &helpers.Func{Name: k.Name, Proto: k.Proto}
		if err := f.Check(); err != nil {
			return err
		}
		byName[k.Name] = f
	}
	t.Helpers = helpers.NewSet(byID, byName)
	return nil
}

// parseFields fills m.members from fields.
func (m *member) parseFields(fields []describedField, depth int) error {
	if depth > 8 {
		return errors.New("structs nest more than 8 deep")
	}
	for i := range fields {
		f := &fields[i]
		c := member{name: f.Name, rw: f.Writable}
		if err := c.parseType(f, depth); err != nil {
			return fmt.Errorf("field %q: %w", f.Name, err)
		}
		m.members = append(m.members, c)
	}
	return nil
}

func (m *member) parseType(f *describedField, depth int) error {
	if f.Type != "struct" && f.Fields != nil {
		return fmt.Errorf("type %q has no fields inside", f.Type)
	}
	switch f.Type {
	case "struct":
		m.kind = memberStruct
		if len(f.Fields) == 0 {
			return errors.New("an empty struct")
		}
		if err := m.parseFields(f.Fields, depth+1); err != nil {
			return err
		}
		if m.packet() != nil {
			return errors.New("a packet must be a field of the context itself")
		}
		return nil
	case "packet":
		m.kind, m.size = memberPacket, 8
		return nil
	case "bool":
		m.kind, m.size = memberBool, 1
		return nil
	}
	name, length, array := strings.Cut(f.Type, "[")
	sizes := map[string]uint32{"u8": 1, "u16": 2, "u32": 4, "u64": 8, "s8": 1, "s16": 2, "s32": 4, "s64": 8}
	size, ok := sizes[name]
	if !ok {
		return fmt.Errorf("unknown type %q", f.Type)
	}
	m.kind, m.size, m.signed = memberInt, size, name[0] == 's'
	if !array {
		return nil
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(length, "]"), 10, 32)
	if err != nil || !strings.HasSuffix(length, "]") || n == 0 || n > maxTypedContext {
		return fmt.Errorf("type %q: 1 to %d elements", f.Type, maxTypedContext)
	}
	m.kind, m.len = memberArray, uint32(n)
	return nil
}

// sameOffsets checks the offsets that the description states against C's rules.
func sameOffsets(m *member, fields []describedField) error {
	for i := range fields {
		c := &m.members[i]
		if c.off != fields[i].Offset {
			return fmt.Errorf("field %q is at offset %d, not %d", c.name, c.off, fields[i].Offset)
		}
		if err := sameOffsets(c, fields[i].Fields); err != nil {
			return err
		}
	}
	return nil
}

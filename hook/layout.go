package hook

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// MaxCtx is the most bytes that a context may have (kernel: 16-bit offsets).
const MaxCtx = 1 << 16

// NewCtx returns the context struct name of size bytes with fields, in any
// order, for which it chooses the host's layout: HostOff and HostSize need not
// be given. Fields that hold pointers come first, then the others by
// alignment, so every field is aligned.
func NewCtx(name string, size uint32, fields ...Field) Ctx {
	c := Ctx{Name: name, Size: size, Fields: slices.Clone(fields)}
	slices.SortStableFunc(c.Fields, func(a, b Field) int { return cmp.Compare(a.Off, b.Off) })
	order := make([]*Field, len(c.Fields))
	for i := range c.Fields {
		order[i] = &c.Fields[i]
	}
	slices.SortStableFunc(order, func(a, b *Field) int { return cmp.Compare(b.hostAlign(), a.hostAlign()) })
	for _, f := range order {
		align := f.hostAlign()
		f.HostSize = f.Size
		if f.IsPointer() {
			f.HostSize = 8
		}
		c.HostSize = (c.HostSize + align - 1) &^ (align - 1)
		if f.Kind == FieldBytes {
			c.HostSize += f.Off & 7 // an access inside is as aligned as the program sees it
		}
		f.HostOff = c.HostSize
		c.HostSize += f.HostSize
	}
	c.HostSize = (c.HostSize + 7) &^ 7
	return c
}

// hostAlign returns the alignment of f in the host's bytes.
func (f *Field) hostAlign() uint32 {
	if f.IsPointer() || f.Kind == FieldBytes || f.Size > 8 {
		return 8
	}
	return max(f.Size, 1)
}

// IsPointer reports whether f holds an address.
func (f *Field) IsPointer() bool {
	return f.Kind != FieldScalar && f.Kind != FieldBytes
}

// Field returns the field called name, or nil.
func (c *Ctx) Field(name string) *Field {
	for i := range c.Fields {
		if c.Fields[i].Name == name {
			return &c.Fields[i]
		}
	}
	return nil
}

// hasKind reports whether a field of c is of kind k.
func (c *Ctx) hasKind(k FieldKind) bool {
	return slices.ContainsFunc(c.Fields, func(f Field) bool { return f.Kind == k })
}

// Set stores v in the scalar field called name of the host's bytes. The error
// says what is wrong with name or v.
func (c *Ctx) Set(host []byte, name string, v uint64) error {
	f := c.Field(name)
	switch {
	case f == nil:
		return fmt.Errorf("%s has no field %q", c.Name, name)
	case f.Kind != FieldScalar:
		return fmt.Errorf("%s.%s is not a number", c.Name, name)
	case f.HostSize < 8 && v>>(8*f.HostSize) != 0 && int64(v)>>(8*f.HostSize-1) != -1:
		return fmt.Errorf("%s.%s has %d bytes; %#x does not fit", c.Name, name, f.HostSize, v)
	case uint64(len(host)) < uint64(f.HostOff)+uint64(f.HostSize):
		return fmt.Errorf("%s.%s ends at byte %d of the context, which has %d", c.Name, name, f.HostOff+f.HostSize, len(host))
	}
	f.put(host, v)
	return nil
}

// put stores v in the scalar field f.
func (f *Field) put(host []byte, v uint64) {
	b := host[f.HostOff:]
	switch f.HostSize {
	case 1:
		b[0] = byte(v)
	case 2:
		binary.NativeEndian.PutUint16(b, uint16(v))
	case 4:
		binary.NativeEndian.PutUint32(b, uint32(v))
	case 8:
		binary.NativeEndian.PutUint64(b, v)
	}
}

// Get returns the scalar field called name of the host's bytes; ok is false
// if there is none.
func (c *Ctx) Get(host []byte, name string) (v uint64, ok bool) {
	f := c.Field(name)
	if f == nil || f.Kind != FieldScalar || uint64(len(host)) < uint64(f.HostOff)+uint64(f.HostSize) {
		return 0, false
	}
	b := host[f.HostOff:]
	switch f.HostSize {
	case 1:
		return uint64(b[0]), true
	case 2:
		return uint64(binary.NativeEndian.Uint16(b)), true
	case 4:
		return uint64(binary.NativeEndian.Uint32(b)), true
	default:
		return binary.NativeEndian.Uint64(b), true
	}
}

// Check reports why c is not a context that engines can use: a field outside
// it, fields that overlap, in either layout, or a width that a field cannot
// be accessed with.
func (c *Ctx) Check() error {
	if c.Size > MaxCtx || c.HostSize > 2*MaxCtx {
		return fmt.Errorf("context %s has %d bytes, %d on the host; %d is the most", c.Name, c.Size, c.HostSize, MaxCtx)
	}
	names := map[string]bool{}
	for i := range c.Fields {
		f := &c.Fields[i]
		if err := c.checkField(f); err != nil {
			return fmt.Errorf("context %s: field %q: %w", c.Name, f.Name, err)
		}
		if names[f.Name] {
			return fmt.Errorf("context %s: two fields are called %q", c.Name, f.Name)
		}
		names[f.Name] = true
		if i > 0 {
			if p := &c.Fields[i-1]; f.Off < p.Off+p.Size {
				return fmt.Errorf("context %s: field %q at offset %d overlaps %q, which ends at %d", c.Name, f.Name, f.Off, p.Name, p.Off+p.Size)
			}
		}
	}
	host := slices.Clone(c.Fields)
	slices.SortFunc(host, func(a, b Field) int { return cmp.Compare(a.HostOff, b.HostOff) })
	for i := 1; i < len(host); i++ {
		if p, f := &host[i-1], &host[i]; f.HostOff < p.HostOff+p.HostSize {
			return fmt.Errorf("context %s: field %q at host offset %d overlaps %q, which ends at %d", c.Name, f.Name, f.HostOff, p.Name, p.HostOff+p.HostSize)
		}
	}
	return nil
}

func (c *Ctx) checkField(f *Field) error {
	powerOf2 := f.Size != 0 && f.Size <= 8 && f.Size&(f.Size-1) == 0
	widest := f.Size
	switch {
	case f.Name == "":
		return fmt.Errorf("no name, at offset %d", f.Off)
	case f.Kind > FieldObject:
		return fmt.Errorf("unknown kind %d", f.Kind)
	case f.Size == 0 || uint64(f.Off)+uint64(f.Size) > uint64(c.Size):
		return fmt.Errorf("bytes %d to %d lie outside the struct of %d", f.Off, uint64(f.Off)+uint64(f.Size), c.Size)
	case f.HostSize == 0 || uint64(f.HostOff)+uint64(f.HostSize) > uint64(c.HostSize):
		return fmt.Errorf("host bytes %d to %d lie outside the host's %d", f.HostOff, uint64(f.HostOff)+uint64(f.HostSize), c.HostSize)
	case f.Kind != FieldBytes && (!powerOf2 || f.Off%f.Size != 0):
		return fmt.Errorf("%d bytes at offset %d: fields have 1, 2, 4 or 8 bytes and are aligned", f.Size, f.Off)
	case f.Kind == FieldBytes && f.HostOff%8 != f.Off%8:
		return fmt.Errorf("host offset %d is not as aligned as offset %d", f.HostOff, f.Off)
	case f.IsPointer() && (f.HostSize != 8 || f.HostOff%8 != 0):
		return fmt.Errorf("a pointer of %d bytes at host offset %d; 8 and aligned is what the host needs", f.HostSize, f.HostOff)
	case f.IsPointer() && f.Size < 4:
		return fmt.Errorf("a pointer of %d bytes", f.Size)
	case !f.IsPointer() && f.HostSize != f.Size:
		return fmt.Errorf("%d bytes, yet %d on the host", f.Size, f.HostSize)
	case f.Kind == FieldScalar && f.HostOff%f.Size != 0:
		return fmt.Errorf("host offset %d is not aligned to %d", f.HostOff, f.Size)
	case f.IsPointer() && f.Write != 0:
		return errors.New("programs may not write a pointer")
	case f.IsPointer() && f.Read != 0 && f.Read != Widths(f.Size):
		return fmt.Errorf("a pointer of %d bytes is read whole", f.Size)
	case (f.Nullable || f.Object != "") && f.Kind != FieldObject:
		return errors.New("Nullable and Object are for objects")
	case f.Kind == FieldObject && f.Object == "":
		return errors.New("an object of no type: give Object")
	}
	if widest < 8 && (f.Read|f.Write)>>bitsOf(widest) != 0 || (f.Read|f.Write) > 15 {
		return fmt.Errorf("access widths %d and %d exceed its %d bytes", f.Read, f.Write, f.Size)
	}
	return nil
}

// bitsOf returns how many bits of a Widths are at most n: 1, 2, 3 or 4.
func bitsOf(n uint32) int {
	w := 0
	for b := uint32(1); b <= n && b <= 8; b <<= 1 {
		w++
	}
	return w
}

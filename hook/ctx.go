package hook

import "slices"

// Ctx is the layout of the object that R1 points to on entry.
//
// A program sees Size bytes, laid out as the platform documents. The host
// keeps HostSize bytes, laid out as is fastest: there a packet pointer has 64
// bits. R1 holds the address of the host's bytes; a load of field f at R1+f.Off
// reads f.HostSize bytes at R1+f.HostOff, and engines rewrite one to the other.
type Ctx struct {
	Name     string  // C name of the struct, such as "xdp_md"
	Size     uint32  // bytes the program sees
	HostSize uint32  // bytes the host keeps
	Fields   []Field // sorted by Off; they do not overlap; gaps are refused to programs
}

// A Field is one member of the context, as the program sees it.
type Field struct {
	Name string
	Off  uint32 // in the program's layout, bytes
	Size uint32 // in the program's layout, bytes: 1, 2, 4 or 8; or more if Kind is FieldBytes
	Kind FieldKind

	HostOff  uint32 // in the host's bytes
	HostSize uint32 // 1, 2, 4 or 8; FieldBytes: Size; pointers: 8

	Read  Widths // widths of loads that may touch the field; a narrow load reads part of it, naturally aligned
	Write Widths // widths of stores

	Nullable bool   // FieldObject: may be 0
	Object   string // FieldObject: type of the host object ("sock_common")
}

// A FieldKind is what a context field holds.
type FieldKind uint8

const (
	FieldScalar     FieldKind = iota
	FieldBytes                // plain bytes: any aligned access inside is a scalar
	FieldPacket               // start of the packet
	FieldPacketEnd            // byte after the packet
	FieldPacketMeta           // start of the packet's metadata
	FieldObject               // pointer to a host object
)

// Widths is a set of access widths in bytes: the bitwise or of 1, 2, 4 and 8.
type Widths uint8

// Has reports whether accesses of n bytes are in w.
func (w Widths) Has(n int) bool { return n > 0 && n <= 8 && w&Widths(n) != 0 && n&(n-1) == 0 }

// Writable reports whether programs may store to any of the fields.
func (c *Ctx) Writable() bool {
	return slices.ContainsFunc(c.Fields, func(f Field) bool { return f.Write != 0 })
}

// An Object is a host object that programs get pointers to: through a field of
// the context, or from a helper.
type Object interface {
	// Memory returns what a program sees through a pointer to an object of the
	// type called name (Field.Object), in the layout of Type.Objects; nil if
	// this is no such object. The memory must not move, must hold no Go
	// pointers, and must be the same at each call.
	Memory(name string) []byte
}

// At returns the field that contains the program's byte off, or nil.
func (c *Ctx) At(off uint32) *Field {
	lo, hi := 0, len(c.Fields)
	for lo < hi {
		mid := (lo + hi) / 2
		if f := &c.Fields[mid]; off >= f.Off+f.Size {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(c.Fields) && c.Fields[lo].Off <= off {
		return &c.Fields[lo]
	}
	return nil
}

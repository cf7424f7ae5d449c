// Package kcall calls one helper in the running kernel and in skep with the
// same arguments, for tests. Nothing else imports it.
package kcall

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/helpers/helpertest"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// BufSize is the size of the buffer that holds a call's arguments.
const BufSize = 4096

// An Arg says what a register holds at the call.
type Arg struct {
	Kind Kind
	Off  int32 // in the buffer
	Max  int32 // Size, SizeOrZero: the largest; a power of two
	Imm  int32
}

// A Kind is a way to make an argument.
type Kind int

const (
	Addr       Kind = iota // address of the buffer's byte Off
	Num                    // the 64-bit number at Off
	Size                   // the same, which the test keeps in 1 to Max
	SizeOrZero             // the same, which the test keeps in 0 to Max
	Const                  // Imm
	Str                    // address of the constant string
	Ctx                    // the context
	// Store is no argument: before the call, the number at Off becomes the
	// address of the buffer's byte Imm.
	Store
)

// A Call is a call of one helper. The kernel runs it in a program whose
// arguments come from the value of a map, which each run writes before and
// reads after it. R0 goes to the value's first eight bytes.
type Call struct {
	// Env makes the environment for skep's side of a run on packet; nil: an
	// empty one.
	Env func(packet []byte) *helpertest.Env

	t    *testing.T
	fn   *helpers.Func
	args []Arg
	str  []byte
	prog *oracle.Program
	buf  *oracle.Map
}

// New loads the kernel's program of type typ for helper id, which is fn here.
// str, if not nil, is the constant string. It skips t where there is no kernel
// to ask.
func New(t *testing.T, typ uint32, id helpers.ID, fn *helpers.Func, str []byte, args ...Arg) *Call {
	t.Helper()
	oracle.Skip(t)
	c, log, err := Load(t, typ, id, fn, str, args...)
	if err != nil {
		t.Fatalf("the kernel refuses the call of helper %d: %v\n%s", id, err, log)
	}
	return c
}

// Load is New for calls that the kernel may refuse; err is why, and c then
// serves for Ours only.
func Load(t *testing.T, typ uint32, id helpers.ID, fn *helpers.Func, str []byte, args ...Arg) (c *Call, log string, err error) {
	t.Helper()
	buf := newMap(t, &maps.Spec{Type: maps.Array, KeySize: 4, ValueSize: BufSize, MaxEntries: 1})
	refs := []*oracle.Map{buf}
	if str != nil {
		ro := newMap(t, &maps.Spec{Type: maps.Array, KeySize: 4, ValueSize: uint32(len(str)), MaxEntries: 1, Flags: maps.ReadOnlyProg})
		if err := ro.Update(make([]byte, 4), str, 0); err != nil {
			t.Fatal(err)
		}
		if err := ro.Freeze(); err != nil {
			t.Fatal(err)
		}
		refs = append(refs, ro)
	}
	p, log, err := oracle.Load(oracle.LoadOptions{Type: typ, Insns: program(id, args), Maps: refs})
	c = &Call{t: t, fn: fn, args: args, str: str, prog: p, buf: buf}
	if err != nil {
		return c, log, err
	}
	t.Cleanup(p.Close)
	return c, log, nil
}

func newMap(t *testing.T, s *maps.Spec) *oracle.Map {
	t.Helper()
	m, err := oracle.NewMap(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// program returns: r6 = buffer; r1… = args; call id; *(u64 *)r6 = r0; exit.
func program(id helpers.ID, args []Arg) []prog.Insn {
	const (
		movX  = isa.Op(uint8(isa.ALU64) | uint8(isa.X) | uint8(isa.Mov))
		movK  = isa.Op(uint8(isa.ALU64) | uint8(isa.K) | uint8(isa.Mov))
		addK  = isa.Op(uint8(isa.ALU64) | uint8(isa.K) | uint8(isa.Add))
		andK  = isa.Op(uint8(isa.ALU64) | uint8(isa.K) | uint8(isa.And))
		loadD = isa.Op(uint8(isa.LDX) | uint8(isa.MEM) | uint8(isa.DW))
		stD   = isa.Op(uint8(isa.STX) | uint8(isa.MEM) | uint8(isa.DW))
		call  = isa.Op(uint8(isa.JMP) | uint8(isa.Call))
		exit  = isa.Op(uint8(isa.JMP) | uint8(isa.Exit))
	)
	p := []prog.Insn{
		{Op: movX, Dst: 7, Src: 1},
		{Op: isa.Wide, Dst: 6, Src: isa.PseudoMapValue}, {},
	}
	r := prog.Reg(0)
	for _, a := range args {
		if a.Kind == Store {
			p = append(p, prog.Insn{Op: movX, Dst: 8, Src: 6}, prog.Insn{Op: addK, Dst: 8, Imm: a.Imm},
				prog.Insn{Op: stD, Dst: 6, Src: 8, Off: int16(a.Off)})
			continue
		}
		r++
		load := prog.Insn{Op: loadD, Dst: r, Src: 6, Off: int16(a.Off)}
		switch a.Kind {
		case Addr:
			p = append(p, prog.Insn{Op: movX, Dst: r, Src: 6}, prog.Insn{Op: addK, Dst: r, Imm: a.Off})
		case Num:
			p = append(p, load)
		case SizeOrZero:
			p = append(p, load, prog.Insn{Op: andK, Dst: r, Imm: 2*a.Max - 1})
		case Size:
			p = append(p, load, prog.Insn{Op: addK, Dst: r, Imm: -1},
				prog.Insn{Op: andK, Dst: r, Imm: a.Max - 1}, prog.Insn{Op: addK, Dst: r, Imm: 1})
		case Const:
			p = append(p, prog.Insn{Op: movK, Dst: r, Imm: a.Imm})
		case Str:
			p = append(p, prog.Insn{Op: isa.Wide, Dst: r, Src: isa.PseudoMapValue, Imm: 1}, prog.Insn{})
		case Ctx:
			p = append(p, prog.Insn{Op: movX, Dst: r, Src: 7})
		}
	}
	return append(p,
		prog.Insn{Op: call, Imm: int32(id)},
		prog.Insn{Op: stD, Dst: 6, Src: 0},
		prog.Insn{Op: movK, Dst: 0, Imm: 2},
		prog.Insn{Op: exit})
}

// Ours calls the helper on skep's side alone and returns R0.
func (c *Call) Ours(buf []byte) uint64 {
	env := &helpertest.Env{}
	r := c.registers(env, buf)
	return c.fn.Impl(env, r[0], r[1], r[2], r[3], r[4])
}

// Compare calls the helper on both sides, with arguments from buf and with
// packet as the packet, and fails the test unless R0, the buffer and the packet
// are equal afterwards. what is for the message.
func (c *Call) Compare(what any, buf, packet []byte) {
	c.t.Helper()
	want, wantBuf, wantPacket := c.kernel(buf, packet)
	env := &helpertest.Env{}
	if c.Env != nil {
		env = c.Env(packet)
	}
	gotBuf := bytes.Clone(buf)
	r := c.registers(env, gotBuf)
	got := c.fn.Impl(env, r[0], r[1], r[2], r[3], r[4])
	if got != want {
		c.t.Fatalf("%s(%v) = %d, the kernel's %d", c.fn.Name, what, int64(got), int64(want))
	}
	for _, a := range c.args {
		if a.Kind == Store { // addresses differ
			clear(gotBuf[a.Off : a.Off+8])
			clear(wantBuf[a.Off : a.Off+8])
		}
	}
	if i := differ(gotBuf[8:], wantBuf[8:]); i >= 0 {
		i += 8
		c.t.Fatalf("%s(%v) = %d leaves %q at byte %d of the buffer, the kernel %q", c.fn.Name, what, int64(got), gotBuf[i:min(i+16, BufSize)], i, wantBuf[i:min(i+16, BufSize)])
	}
	if env.Pkt == nil {
		return
	}
	gotPacket := env.Pkt.Buf[env.Pkt.Meta:env.Pkt.Tail] // test_run gives the metadata too
	if i := differ(gotPacket, wantPacket); i >= 0 {
		c.t.Fatalf("%s(%v) = %d makes a packet of %d bytes, the kernel %d; they differ at byte %d:\n%x\n%x", c.fn.Name, what, int64(got), len(gotPacket), len(wantPacket), i, gotPacket, wantPacket)
	}
}

// differ returns the first index at which a and b differ, or -1.
func differ(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	if len(a) != len(b) {
		return min(len(a), len(b))
	}
	return -1
}

// registers returns the arguments of skep's side, whose buffer is buf.
func (c *Call) registers(env *helpertest.Env, buf []byte) (r [5]uint64) {
	base := env.Put(buf)
	i := 0
	for _, a := range c.args {
		switch a.Kind {
		case Store:
			binary.NativeEndian.PutUint64(buf[a.Off:], base+uint64(a.Imm))
			continue
		case Addr:
			r[i] = base + uint64(a.Off)
		case Num, Size, SizeOrZero:
			r[i] = binary.NativeEndian.Uint64(buf[a.Off:])
		case Const:
			r[i] = uint64(int64(a.Imm))
		case Str:
			r[i] = env.Put(c.str)
		}
		i++
	}
	return r
}

// kernel runs the kernel's side and returns R0, the buffer and the packet.
func (c *Call) kernel(buf, packet []byte) (r0 uint64, after, out []byte) {
	c.t.Helper()
	key := make([]byte, 4)
	if err := c.buf.Update(key, buf, 0); err != nil {
		c.t.Fatal(err)
	}
	if packet == nil {
		packet = make([]byte, 64)
	}
	res, err := c.prog.Run(oracle.RunInput{Data: packet, Room: 1 << 16})
	if err != nil {
		c.t.Fatal(err)
	}
	after = make([]byte, BufSize)
	if err := c.buf.Lookup(key, after, 0); err != nil {
		c.t.Fatal(err)
	}
	return binary.NativeEndian.Uint64(after), after, res.Data
}

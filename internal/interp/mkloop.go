//go:build ignore

// Mkloop writes loop.go: the opcodes, the loop with one case for each, and the
// table of pairs.
package main

import (
	"bytes"
	"fmt"
	"go/format"
	"log"
	"os"
	"strings"
)

// A form is what one opcode does, as Go. In it stand
//
//	D A B   registers of the instruction, by name
//	K       the immediate, 64 bits, sign-extended
//	K32     the immediate, 32 bits
//	M(t, r) memory at r plus the immediate, of type t
//	JUMP    taking the jump
//	LEAVE   returning to Go
//	PUSH    opening a frame
//
// A form that may be the first or the second half of a pair says so.
type form struct {
	name string
	body string
	last bool // jumps or leaves: never the first of a pair
	solo bool // never part of a pair
}

func forms() (fs []form) {
	add := func(name, body string) { fs = append(fs, form{name: name, body: body}) }
	binary := []struct{ name, expr string }{
		{"Add", "%s + %s"}, {"Mul", "%s * %s"}, {"And", "%s & %s"}, {"Or", "%s | %s"}, {"Xor", "%s ^ %s"}, {"Sub", "%s - %s"},
	}
	for _, b := range binary {
		add(b.name+"X", "D = "+fmt.Sprintf(b.expr, "A", "B"))
		add(b.name+"32X", "D = uint64("+fmt.Sprintf(b.expr, "uint32(A)", "uint32(B)")+")")
		if b.name == "Sub" { // of a constant: the addition of its negative
			continue
		}
		add(b.name+"K", "D = "+fmt.Sprintf(b.expr, "A", "K"))
		add(b.name+"32K", "D = uint64("+fmt.Sprintf(b.expr, "uint32(A)", "K32")+")")
	}
	for _, b := range []struct{ name, expr string }{{"Lsh", "%s << (%s & %d)"}, {"Rsh", "%s >> (%s & %d)"}} {
		add(b.name+"X", "D = "+fmt.Sprintf(b.expr, "A", "B", 63))
		add(b.name+"K", "D = "+fmt.Sprintf(b.expr, "A", "K32", 63))
		add(b.name+"32X", "D = uint64("+fmt.Sprintf(b.expr, "uint32(A)", "B", 31)+")")
		add(b.name+"32K", "D = uint64("+fmt.Sprintf(b.expr, "uint32(A)", "K32", 31)+")")
	}
	add("ArshX", "D = uint64(int64(A) >> (B & 63))")
	add("ArshK", "D = uint64(int64(A) >> (K32 & 63))")
	add("Arsh32X", "D = uint64(uint32(int32(A) >> (B & 31)))")
	add("Arsh32K", "D = uint64(uint32(int32(A) >> (K32 & 31)))")
	add("MovX", "D = A")
	add("MovK", "D = K")
	add("Mov32X", "D = uint64(uint32(A))")
	add("Neg", "D = -A")
	add("Neg32", "D = uint64(-uint32(A))")
	add("Sx8", "D = uint64(int8(A))")
	add("Sx16", "D = uint64(int16(A))")
	add("Sx32", "D = uint64(int32(A))")
	add("Sx8to32", "D = uint64(uint32(int8(A)))")
	add("Sx16to32", "D = uint64(uint32(int16(A)))")
	add("Swap16", "D = uint64(bits.ReverseBytes16(uint16(A)))")
	add("Swap32", "D = uint64(bits.ReverseBytes32(uint32(A)))")
	add("Swap64", "D = bits.ReverseBytes64(A)")

	for _, n := range []string{"8", "16", "32", "64"} {
		add("Ld"+n, "D = uint64(M(uint"+n+", A))")
		add("St"+n, "M(uint"+n+", A) = uint"+n+"(B)")
		if n != "64" {
			add("LdSx"+n, "D = uint64(M(int"+n+", A))")
		}
	}
	add("StK8", "*(*uint8)(at(A + uint64(int64(o.off)))) = uint8(o.imm)")
	add("StK16", "*(*uint16)(at(A + uint64(int64(o.off)))) = uint16(o.imm)")
	add("StK32", "*(*uint32)(at(A + uint64(int64(o.off)))) = uint32(o.imm)")
	add("StK64", "*(*uint64)(at(A + uint64(int64(o.off)))) = uint64(int64(o.imm))")
	for i := len(fs) - 4; i < len(fs); i++ {
		fs[i].solo = true
	}

	jump := func(name, cond string) {
		fs = append(fs, form{name: name, body: "if " + cond + " {\nJUMP\n}", last: true})
	}
	for _, c := range []struct {
		name, op string
		signed   bool
		x        bool // of two registers too; else with the operands exchanged
	}{
		{"JEq", "==", false, true}, {"JNe", "!=", false, true}, {"JGt", ">", false, true}, {"JGe", ">=", false, true},
		{"JLt", "<", false, false}, {"JLe", "<=", false, false},
		{"JSGt", ">", true, true}, {"JSGe", ">=", true, true}, {"JSLt", "<", true, false}, {"JSLe", "<=", true, false},
	} {
		a, b, k, a32, b32, k32 := "A", "B", "K", "uint32(A)", "uint32(B)", "K32"
		if c.signed {
			a, b, k, a32, b32, k32 = "int64(A)", "int64(B)", "int64(K)", "int32(A)", "int32(B)", "int32(K32)"
		}
		jump(c.name+"K", a+c.op+k)
		jump(c.name+"32K", a32+c.op+k32)
		if c.x {
			jump(c.name+"X", a+c.op+b)
			jump(c.name+"32X", a32+c.op+b32)
		}
	}
	jump("JSetK", "A&K != 0")
	jump("JSet32K", "uint32(A)&K32 != 0")
	jump("JSetX", "A&B != 0")
	jump("JSet32X", "uint32(A)&uint32(B) != 0")
	fs = append(fs, form{name: "JA", body: "JUMP", last: true})

	solo := func(name, body string) { fs = append(fs, form{name: name, body: body, last: true, solo: true}) }
	solo("MayGoto", mayGotoBody)
	wide := func(name, body string) { fs = append(fs, form{name: name, body: body, solo: true}) }
	wide("Wide", "D = uint64(uint32(o.imm)) | uint64(uint32(o.imm2))<<32")
	// A rotation to the left, and what B is left with: one of the shifts.
	add("RotateL", "v := A\nB = v << (K32 & 63)\nD = bits.RotateLeft64(v, int(K32))")
	add("RotateR", "v := A\nB = v >> (-K32 & 63)\nD = bits.RotateLeft64(v, int(K32))")
	add("Rotate32L", "v := uint32(A)\nB = uint64(v << (K32 & 31))\nD = uint64(bits.RotateLeft32(v, int(K32)))")
	add("Rotate32R", "v := uint32(A)\nB = uint64(v >> (-K32 & 31))\nD = uint64(bits.RotateLeft32(v, int(K32)))")
	wide("WideAdd", "D = (uint64(uint32(o.imm)) | uint64(uint32(o.imm2))<<32) + B")
	solo("Div", divBody)
	solo("AtomicAdd64", "atomic.AddUint64((*uint64)(at(A + uint64(int64(o.off)))), B)")
	solo("AtomicFetchAdd64", "v := B\nD = atomic.AddUint64((*uint64)(at(A + uint64(int64(o.off)))), v) - v")
	solo("Atomic64", strings.NewReplacer("WORD", "uint64", "SIZE", "Uint64").Replace(atomicBody))
	solo("Atomic32", strings.NewReplacer("WORD", "uint32", "SIZE", "Uint32").Replace(atomicBody))
	solo("CPU", "D = uint64(m.cpu)")
	solo("Elem", elemBody)
	solo("ToCPU", "if v := A; v != 0 {\nD = v + uint64(m.cpu)*uint64(uint32(o.imm))\n}")
	solo("Iter", iterBody)
	solo("Loop", loopBody)
	solo("LoopNext", loopNextBody)
	solo("Call", callBody)
	solo("CallLeaf", callLeafBody)
	solo("Exit", exitBody)
	solo("ExitLeaf", exitLeafBody)
	return fs
}

// divBody is every division, told apart by an inner switch: what they cost
// themselves hides that.
const divBody = `x, y := A, B
if o.sub&divK != 0 {
	y = K
}
if o.sub&div32 != 0 {
	x, y = uint64(uint32(x)), uint64(uint32(y))
	if o.sub&divSigned != 0 {
		x, y = uint64(int32(x)), uint64(int32(y))
	}
}
switch {
case y == 0:
	if o.sub&divMod == 0 {
		x = 0
	}
case o.sub&divSigned != 0 && o.sub&divMod != 0:
	x = uint64(int64(x) % int64(y))
case o.sub&divSigned != 0:
	x = uint64(int64(x) / int64(y))
case o.sub&divMod != 0:
	x %= y
default:
	x /= y
}
if o.sub&div32 != 0 {
	x = uint64(uint32(x))
}
D = x`

// atomicBody is an atomic operation, which imm says. A comparison is an exchange
// first, so that it orders memory whatever comes of it; if what is there after all is
// R0, another has changed it in between.
const atomicBody = `p, v := (*WORD)(at(A + uint64(int64(o.off)))), WORD(B)
var old WORD
switch o.imm {
case isa.AtomicAdd, isa.AtomicAdd | isa.AtomicFetch:
	old = atomic.AddSIZE(p, v) - v
case isa.AtomicXchg:
	old = atomic.SwapSIZE(p, v)
case isa.AtomicCmpXchg:
	r0 := WORD(reg[0])
	for old = r0; !atomic.CompareAndSwapSIZE(p, r0, v); {
		if old = atomic.LoadSIZE(p); old != r0 {
			break
		}
	}
	reg[0] = uint64(old)
default:
	for {
		old = atomic.LoadSIZE(p)
		x := old ^ v
		switch o.imm &^ isa.AtomicFetch {
		case isa.AtomicOr:
			x = old | v
		case isa.AtomicAnd:
			x = old & v
		}
		if atomic.CompareAndSwapSIZE(p, old, x) {
			break
		}
	}
}
if o.imm&isa.AtomicFetch != 0 && o.imm != isa.AtomicCmpXchg {
	D = uint64(old)
}`

// elemBody is the lookup in an array: base in off and cost, imm elements, imm2
// bytes apart.
const elemBody = `v := uint64(*(*uint32)(at(A)))
if v < uint64(uint32(o.imm)) {
	D = uint64(uint32(o.off)) + uint64(uint32(o.cost))<<32 + v*uint64(uint32(o.imm2))
} else {
	D = 0
}`

// iterBody is helpers.IterNumNext and, told apart by an inner switch, IterNumNew
// and IterNumDestroy.
const iterBody = `a := A
it := (*[2]int32)(at(a))
switch {
case o.sub == iterNext && it[0]+1 < it[1]:
	it[0]++
	D = a
case o.sub == iterNew:
	first, last := int32(reg[2]), int32(reg[3])
	D = 0
	switch {
	case first > last:
		D = helpers.Int(errno.EINVAL)
		first, last = 1, 0
	case int64(last)-int64(first) > helpers.MaxIterNum:
		D = helpers.Int(errno.E2BIG)
		first, last = 1, 0
	}
	*it = [2]int32{first - 1, last}
default:
	*it = [2]int32{}
	D = 0
}`

// loopBody begins a call of loop, or of for_each_map_elem: an array's values
// begin at off and cost, for each CPU imm2 further on, and there are imm. What
// ends a loop before its first iteration lies behind LoopNext, which follows.
const loopBody = `l := &m.loopAt[m.depth&(maxFrames-1)]
n := uint64(uint32(reg[1]))
if o.sub == loopEach {
	n = uint64(uint32(o.imm))
	l.value = uint64(uint32(o.off)) + uint64(uint32(o.cost))<<32 + uint64(m.cpu)*uint64(uint32(o.imm2))
}
l.arg = reg[3]
l.end = n
*(*uint64)(at(m.keys + 8*uint64(m.depth&(maxFrames-1)))) = 1<<64 - 1
reg[0] = 0
if n > helpers.MaxLoops && o.sub != loopEach {
	reg[0] = errno.E2BIG.R0()
	ip = unsafe.Add(ip, opSize)
}`

// loopNextBody ends an iteration and enters the function for the next one, which
// comes back here. In for_each_map_elem imm is the map, and values are imm2 bytes
// apart.
const loopNextBody = `l := &m.loopAt[m.depth&(maxFrames-1)]
key := m.keys + 8*uint64(m.depth&(maxFrames-1))
i := *(*uint64)(at(key)) + 1
*(*uint64)(at(key)) = i
if reg[0] != 0 || i >= l.end {
	reg[0] = i
} else {
	if o.sub == loopEach {
		reg[1] = mapHandle | uint64(uint32(o.imm))
		reg[2] = key
		reg[3] = l.value
		reg[4] = l.arg
		l.value += uint64(uint32(o.imm2))
	} else {
		reg[1] = i
		reg[2] = l.arg
	}
	ip = unsafe.Add(ip, -opSize)
	PUSH
	ip = unsafe.Add(ip, opSize)
	JUMP
}`

// mayGotoBody is may_goto and, told apart by o.sub, what the function begins with.
const mayGotoBody = `f := &m.frames[(m.depth-1)&(maxFrames-1)]
if o.sub == mayGotoBegin {
	f.loops = helpers.MaxLoops
} else if f.loops == 0 {
	JUMP
} else {
	f.loops--
}`

const callBody = `PUSH
JUMP`

// pushBody opens a frame for a function that returns to ip.
const pushBody = `f := &m.frames[m.depth&(maxFrames-1)]
m.depth++
f.ret = int(uintptr(ip) - m.base)
f.saved[0], f.saved[1], f.saved[2], f.saved[3] = reg[6], reg[7], reg[8], reg[9]
reg[10] += frameSize`

const exitBody = `m.depth--
f := &m.frames[m.depth&(maxFrames-1)]
reg[6], reg[7], reg[8], reg[9] = f.saved[0], f.saved[1], f.saved[2], f.saved[3]
reg[10] -= frameSize
ip = unsafe.Add(unsafe.Pointer(unsafe.SliceData(m.ops)), f.ret)`

// callLeafBody and exitLeafBody are for functions that leave R6 to R9 alone.
const callLeafBody = `f := &m.frames[m.depth&(maxFrames-1)]
m.depth++
f.ret = int(uintptr(ip) - m.base)
reg[10] += frameSize
JUMP`

const exitLeafBody = `m.depth--
reg[10] -= frameSize
ip = unsafe.Add(unsafe.Pointer(unsafe.SliceData(m.ops)), m.frames[m.depth&(maxFrames-1)].ret)`

// pairs lists the pairs that have an opcode of their own, in the order of how
// much they save.
var pairs = strings.Fields(`
AddX+Ld8 MovX+AddX MovK+St32 AddK+JNeK Add32X+AddK MovK+MovK Ld32+Ld32 MovK+JEq32K Add32K+Mov32X AddK+JEqK St64+AddK
Ld32+Add32X Add32K+And32K Ld64+AddX Ld64+St64 Ld32+St32 St8+St8 Mov32X+JLtK Xor32X+Rotate32R MovX+MovK LshK+OrX
Ld64+AddK AddK+JLtK Ld16+Add32X And32K+LshK St32+AddK Mul32K+Add32X RshK+St8 AddK+AddK St64+St64 MovK+JA Ld8+LshK
St32+Mov32X XorX+MulX Ld8+JEq32X Ld8+OrX Mov32X+JA Add32X+Add32X MulX+AddX MovK+AddK AddX+Ld32 And32K+Lsh32K
RotateR+RotateR AddX+MovX Ld32+Xor32X Ld8+Ld8 And32K+JNe32K Ld32+Mov32X Add32X+Rsh32K AddK+MovK MovK+JNe32K
And32K+JSGt32K MovX+Mov32X Ld64+JGtX Mul32K+Sub32X And32K+JEq32K Ld16+St16 Xor32X+Xor32X AddX+XorX Mov32X+JNeK
Add32X+Sub32X Rsh32K+JLt32K Mov32X+Add32X Swap16+Add32X MulX+MulX St32+JA Swap16+St16 AddX+JLtK Ld16+And32K Add32K+JA
Lsh32K+Or32X St16+AddK Add32K+MovX MovK+St64 Ld8+Add32X Rsh32K+Xor32X Mov32X+JSLt32K RshK+AndX Add32K+JNe32K Ld64+JA
AndK+LshK AddK+MovX St32+St32 Mul32K+Xor32X Or32K+JLt32K Sx8to32+JSGt32K And32K+LshX MovX+Ld64 St64+Ld32 St64+Ld8
MovK+LshX AddK+JGtX Ld64+Ld64 Mov32X+JNe32K MovK+St8 Xor32X+Rsh32K Add32X+Or32K MovK+St16 RshK+Add32X Mov32X+JGt32K
Xor32X+Sub32X Add32X+Ld32 Ld16+JSGt32K Mov32X+Mov32X AddX+RshK MovX+St64 Ld16+Ld16 St32+Ld32 Rsh32K+JGt32K MovK+Ld32
Mov32X+JGt32X XorX+LshK Lsh32K+And32K Ld8+AddX Ld64+Swap64 Ld64+JLtK Swap64+St64 Rsh32K+Add32X Ld8+Lsh32K Mul32K+Ld32
MovX+JA Ld64+RshK AddK+Ld64 Sub32X+Arsh32K Mov32X+JSGt32X St32+JSGt32X XorX+AndK MulK+AddX MovK+Mov32X RshK+AndK
AddX+And32K XorX+Mov32X AddX+St32 Add32X+Xor32X
`)

// expand returns the Go of body for slot n of an op.
func expand(body, n string) string {
	reg := func(f string) string { return "reg[o." + f + n + "]" }
	var b strings.Builder
	for i := 0; i < len(body); {
		word := i
		for word < len(body) && (body[word] == '_' || body[word] >= '0' && body[word] <= '9' || body[word]|32 >= 'a' && body[word]|32 <= 'z') {
			word++
		}
		w := body[i:word]
		switch {
		case w == "":
			b.WriteByte(body[i])
			i++
			continue
		case w == "D":
			b.WriteString(reg("d"))
		case w == "A":
			b.WriteString(reg("a"))
		case w == "B":
			b.WriteString(reg("b"))
		case w == "K":
			b.WriteString("uint64(int64(o.imm" + n + "))")
		case w == "K32":
			b.WriteString("uint32(o.imm" + n + ")")
		case w == "JUMP":
			b.WriteString("ip = unsafe.Add(ip, o.off)\nif meter -= int64(o.cost); meter < 0 {\ngoto yield\n}")
		case w == "PUSH":
			b.WriteString(pushBody)
		case w == "M":
			end := strings.IndexByte(body[i:], ')') + i
			typ, base, _ := strings.Cut(body[i+2:end], ", ")
			fmt.Fprintf(&b, "*(*%s)(at(%s + uint64(int64(o.imm%s))))", typ, expand(base, n), n)
			word = end + 1
		default:
			b.WriteString(w)
		}
		i = word
	}
	return b.String()
}

// block gives body a scope if it needs one.
func block(body string) string {
	if strings.Contains(body, ":=") {
		return "{\n" + body + "\n}"
	}
	return body
}

func main() {
	log.SetFlags(0)
	fs := forms()
	byName := map[string]*form{}
	for i := range fs {
		byName[fs[i].name] = &fs[i]
	}
	var w bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&w, format+"\n", args...) }
	p("// Code generated by mkloop.go. DO NOT EDIT.\n")
	p("package interp\n")
	p("import (\n\"math/bits\"\n\"sync/atomic\"\n\"unsafe\"\n\n\"github.com/skepvm/skep/errno\"\n\"github.com/skepvm/skep/helpers\"\n\"github.com/skepvm/skep/internal/isa\"\n)\n")
	p("// Opcodes: the forms of single instructions, then pairs of them.\nconst (")
	p("opLeave opcode = iota // to Go: op.sub says what for")
	for _, f := range fs {
		p("op%s", f.name)
	}
	p("numForms = iota\n)\n")
	if len(pairs) > 0 {
		p("const (")
		for i, s := range pairs {
			if i == 0 {
				p("op%s = iota + opcode(numForms)", strings.ReplaceAll(s, "+", ""))
			} else {
				p("op%s", strings.ReplaceAll(s, "+", ""))
			}
		}
		p(")\n")
	}
	p("// names are the opcodes' names, for tests and people.\nvar names = [256]string{\"Leave\",")
	for _, f := range fs {
		p("%q,", f.name)
	}
	for _, s := range pairs {
		p("%q,", s)
	}
	p("}\n")
	p("// pairs gives the opcode of two forms, one after the other; 0: there is none.")
	p("var pairs = [numForms][numForms]opcode{")
	for i := range fs {
		var row []string
		for _, s := range pairs {
			if a, b, _ := strings.Cut(s, "+"); a == fs[i].name {
				row = append(row, fmt.Sprintf("op%s: op%s%s", b, a, b))
			}
		}
		if row != nil {
			p("op%s: {%s},", fs[i].name, strings.Join(row, ", "))
		}
	}
	p("}\n")
	p(loopHead)
	for _, f := range fs {
		p("case op%s:\n%s", f.name, expand(f.body, ""))
	}
	for _, s := range pairs {
		a, b, _ := strings.Cut(s, "+")
		x, y := byName[a], byName[b]
		if x == nil || y == nil || x.solo || y.solo || x.last {
			log.Fatalf("no pair: %s", s)
		}
		p("case op%s%s:\n%s\n%s", a, b, block(expand(x.body, "")), block(expand(y.body, "2")))
	}
	n := len(fs) + len(pairs) + 1
	if n > 256 {
		log.Fatalf("%d opcodes", n)
	}
	for ; n < 256; n++ { // so that the jump needs no check of its range
		p("case %d:\ngoto leave", n)
	}
	p(loopTail)
	src, err := format.Source(w.Bytes())
	if err != nil {
		os.WriteFile("loop.go", w.Bytes(), 0o644)
		log.Fatal(err)
	}
	if err := os.WriteFile("loop.go", src, 0o644); err != nil {
		log.Fatal(err)
	}
}

const loopHead = `// loop runs ops from ip on until one leaves or the meter is spent.
//
// What it needs comes in registers, so that the code begins with the head of the
// loop. Functions are aligned to 32 bytes: the head, 19 bytes on amd64, thus never
// crosses a line of the cache, which costs two thirds more (Zen 5).
//
//go:norace
//go:nocheckptr
func (m *Machine) loop(ip unsafe.Pointer, meter int64) exit {
	reg := &m.reg
	why := exitLeave
	for {
		o := (*op)(ip)
		ip = unsafe.Add(ip, opSize)
		switch o.code {
		case opLeave:
			goto leave`

const loopTail = `}
	}
yield:
	why = exitYield
leave:
	m.at = int(uintptr(ip) - m.base)
	m.meter = meter
	return why
}`

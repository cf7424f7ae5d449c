package path

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// run walks the path and asserts what it says; the last step is the one that
// breaks a rule. It returns why it cannot.
func (e *execution) run(steps []step, message string) (why string) {
	for i, s := range steps {
		if s.pc < 0 || s.pc >= len(e.p.Insns) {
			return fmt.Sprintf("instruction %d", s.pc)
		}
		if i == len(steps)-1 {
			return e.violate(s, message)
		}
		if why := e.step(s, steps[i+1].pc); why != "" {
			return fmt.Sprintf("instruction %d: %s", s.pc, why)
		}
	}
	return ""
}

func (e *execution) step(s step, next int) (why string) {
	in := e.p.Insns[s.pc]
	f := e.top()
	switch c := in.Op.Class(); {
	case in.IsWide():
		f.regs[in.Dst] = e.wide(in, e.p.Insns[s.pc+1])
	case c == isa.ALU || c == isa.ALU64:
		f.regs[in.Dst] = e.arithmetic(in)
	case c == isa.LDX:
		f.regs[in.Dst] = e.loadFrom(f.regs[in.Src], in, in.Op.Mode() == isa.MEMSX, s.after[int(in.Dst)])
	case c == isa.STX && in.Op.Mode() == isa.ATOMIC:
		e.atomic(in, s)
	case c == isa.ST || c == isa.STX:
		v := fixed(int64(in.Imm))
		if c == isa.STX {
			v = f.regs[in.Src]
		}
		e.storeTo(f.regs[in.Dst], in, v)
	case c == isa.LD: // legacy packet access
		for r := 0; r <= 5; r++ {
			f.regs[r] = value{}
		}
		f.regs[0] = value{kind: number, t: e.fresh(in.Op.Size().Bytes(), false)}
	default:
		return e.jump(in, s, next)
	}
	return ""
}

func (e *execution) wide(in, second prog.Insn) value {
	switch in.Src {
	case 0:
		return fixed(int64(uint64(uint32(in.Imm)) | uint64(uint32(second.Imm))<<32))
	case isa.PseudoMapFD:
		return value{kind: handle, obj: &object{spec: e.p.Maps[in.Imm]}}
	case isa.PseudoMapValue:
		o := e.object(lit(0), lit(uint64(e.p.Maps[in.Imm].ValueSize)))
		return value{kind: pointer, t: lit(uint64(uint32(second.Imm))), obj: o, fixed: true, at: int64(uint32(second.Imm))}
	}
	return value{kind: handle, obj: &object{}}
}

func (e *execution) arithmetic(in prog.Insn) value {
	f := e.top()
	bits, op := 64, in.Op.ALUOp()
	if in.Op.Class() == isa.ALU {
		bits = 32
	}
	if op == isa.End {
		reverse := bits == 64 || in.Op.Source() == isa.X
		return value{kind: number, t: e.swap(e.number(f.regs[in.Dst]), int(in.Imm), reverse)}
	}
	a, b := f.regs[in.Dst], fixed(int64(in.Imm))
	if in.Op.Source() == isa.X && op != isa.Neg {
		b = f.regs[in.Src]
	}
	if op == isa.Mov && bits == 64 && in.Off == 0 {
		return b
	}
	switch {
	case bits == 64 && a.kind == pointer && b.kind == number && (op == isa.Add || op == isa.Sub):
	case bits == 64 && a.kind == number && b.kind == pointer && op == isa.Add:
		a, b = b, a
	default:
		if op == isa.Mov || op == isa.Neg {
			a = fixed(0)
			if op == isa.Neg {
				a = f.regs[in.Dst]
			}
		}
		return value{kind: number, t: e.alu(op, bits, in.Off, e.number(a), e.number(b))}
	}
	sum := value{kind: pointer, obj: a.obj}
	if a.fixed && b.fixed {
		sum.fixed, sum.at = true, a.at+b.at
		if op == isa.Sub {
			sum.at = a.at - b.at
		}
		sum.t = lit(uint64(sum.at))
		return sum
	}
	sum.t = e.alu(op, 64, 0, a.t, b.t)
	return sum
}

// at returns the place that in accesses through p.
func (e *execution) at(p value, in prog.Insn) value {
	if p.fixed {
		return fixed(p.at + int64(in.Off))
	}
	return value{kind: number, t: e.alu(isa.Add, 64, 0, p.t, lit(uint64(int64(in.Off))))}
}

func (e *execution) loadFrom(p value, in prog.Insn, signed bool, known string) value {
	size := in.Op.Size().Bytes()
	anything := value{kind: number, t: e.fresh(size, signed)}
	switch {
	case p.kind != pointer:
	case p.obj.frame != nil:
		return e.load(p.obj.frame, e.at(p, in), size, signed, known)
	case p.obj.ctx:
		return e.field(int64(in.Off), anything)
	}
	return anything
}

// field returns what a load from the context gives.
func (e *execution) field(off int64, anything value) value {
	if off < 0 || off >= int64(e.p.Type.Ctx.Size) {
		return anything
	}
	f := e.p.Type.Ctx.At(uint32(off))
	if f == nil {
		return anything
	}
	if e.packet == nil && f.Kind != hook.FieldScalar && f.Kind != hook.FieldBytes {
		e.newPacket()
	}
	switch f.Kind {
	case hook.FieldPacket:
		return value{kind: pointer, t: lit(0), obj: e.packet, fixed: true}
	case hook.FieldPacketEnd:
		return value{kind: pointer, t: e.length, obj: e.packet}
	case hook.FieldPacketMeta:
		return value{kind: pointer, t: e.define("(bvneg %s)", e.meta), obj: e.packet}
	}
	return anything
}

func (e *execution) storeTo(p value, in prog.Insn, v value) {
	if p.kind == pointer && p.obj.frame != nil {
		e.store(p.obj.frame, e.at(p, in), in.Op.Size().Bytes(), v)
	}
}

// atomic executes the atomic instructions (RFC 9669, section 5.3). What others
// may write meanwhile is anything.
func (e *execution) atomic(in prog.Insn, s step) {
	f, size := e.top(), in.Op.Size().Bytes()
	switch in.Imm {
	case isa.LoadAcquire:
		f.regs[in.Dst] = e.loadFrom(f.regs[in.Src], in, false, s.after[int(in.Dst)])
		return
	case isa.StoreRelease:
		e.storeTo(f.regs[in.Dst], in, f.regs[in.Src])
		return
	}
	p, v := f.regs[in.Dst], e.number(f.regs[in.Src])
	old := e.loadFrom(p, in, false, "scalar")
	after := value{kind: number}
	switch in.Imm {
	case isa.AtomicCmpXchg:
		same := fmt.Sprintf("(= %s %s)", low(old.t, 8*size), low(e.number(f.regs[0]), 8*size))
		after.t = e.define("(ite %s %s %s)", same, v, old.t)
		f.regs[0] = old
	case isa.AtomicXchg:
		after.t = v
	default:
		after.t = e.alu(isa.ALUOp(in.Imm&^isa.AtomicFetch), 8*size, 0, old.t, v)
	}
	e.storeTo(p, in, after)
	if in.Imm != isa.AtomicCmpXchg && in.Imm&isa.AtomicFetch != 0 {
		f.regs[in.Src] = old
	}
}

func (e *execution) jump(in prog.Insn, s step, next int) (why string) {
	f := e.top()
	switch in.Op.JmpOp() {
	case isa.JA, isa.MayGoto:
		return ""
	case isa.Exit:
		return e.exit(next)
	case isa.Call:
		if in.Src == isa.CallSub {
			callee := e.push()
			callee.back = s.pc
			copy(callee.regs[1:6], f.regs[1:6])
			return ""
		}
		return e.call(in, s, next)
	}
	bits := 64
	if in.Op.Class() == isa.JMP32 {
		bits = 32
	}
	b := fixed(int64(in.Imm))
	if in.Op.Source() == isa.X {
		b = f.regs[in.Src]
	}
	c := e.condition(in.Op.JmpOp(), bits, f.regs[in.Dst], b)
	taken, fall := s.pc+1+int(in.Off), s.pc+1
	switch {
	case taken == fall:
	case next == taken:
		e.assert("%s", c)
	case next == fall:
		e.assert("(not %s)", c)
	default:
		return fmt.Sprintf("no way from here to %d", next)
	}
	return ""
}

// condition returns the condition of a jump. Where pointers into one object do
// not wrap, which is nearly everywhere, they compare as their offsets do: that
// spares the solver the sums.
func (e *execution) condition(op isa.JmpOp, bits int, a, b value) cond {
	whole := compare(op, bits, e.number(a), e.number(b))
	signed := map[isa.JmpOp]isa.JmpOp{isa.JEq: isa.JEq, isa.JNe: isa.JNe, isa.JGt: isa.JSGt, isa.JGe: isa.JSGe, isa.JLt: isa.JSLt, isa.JLe: isa.JSLe}
	by, ok := signed[op]
	if !ok || bits != 64 || a.kind != pointer || b.kind != pointer || a.obj != b.obj || a.obj.null != "" {
		return whole
	}
	const small = "(and (bvsge %[1]s #xffffffffffff0000) (bvslt %[1]s #x4000000000000000) (bvsge %[2]s #xffffffffffff0000) (bvslt %[2]s #x4000000000000000))"
	return cond(fmt.Sprintf("(ite "+small+" %[3]s %[4]s)", a.t, b.t, compare(by, 64, a.t, b.t), whole))
}

func (e *execution) exit(next int) (why string) {
	f := e.top()
	if len(e.frames) == 1 {
		return "goes on after the end"
	}
	e.frames = e.frames[:len(e.frames)-1]
	caller := e.top()
	if f.apart {
		if next != f.back && next != f.back+1 {
			return "returns elsewhere"
		}
		if next == f.back+1 {
			e.returned(value{kind: number, t: e.fresh(8, false)})
		}
		return ""
	}
	e.returned(f.regs[0])
	_ = caller
	return ""
}

// returned leaves a call.
func (e *execution) returned(r0 value) {
	f := e.top()
	for r := 1; r <= 5; r++ {
		f.regs[r] = value{}
	}
	f.regs[0] = r0
}

var result = regexp.MustCompile(`^(map_value|map_ptr|ringbuf_mem|mem|dynptr_data|rdonly_mem)(_or_null)?\((?:.*,)?(?:vs|sz)=(\d+)`)

// call calls a helper.
func (e *execution) call(in prog.Insn, s step, next int) (why string) {
	f := e.top()
	fn := e.callee(in)
	if fn == nil {
		return "a call of a function that is not known"
	}
	if next != s.pc+1 { // into a callback
		callee := e.push()
		callee.back, callee.apart = s.pc, true
		switch fn.Name {
		case "loop":
			i := e.fresh(4, false)
			e.assert("(bvult %s %s)", i, e.extend(low(e.number(f.regs[1]), 32), 4, false))
			callee.regs[1], callee.regs[2] = value{kind: number, t: i}, f.regs[3]
		case "user_ringbuf_drain": // with a dynptr, of which helpers alone make something
			callee.regs[1], callee.regs[2] = value{kind: number, t: e.fresh(8, false)}, f.regs[3]
		case "timer_set_callback": // later, with the map, a key and a value
			callee.regs[1], callee.regs[2], callee.regs[3] = value{kind: number, t: e.fresh(8, false)}, e.somewhere(), e.somewhere()
		default:
			return "a callback of " + fn.Name
		}
		return ""
	}
	for i := range fn.Proto.Args {
		if v := f.regs[1+i]; fn.Proto.Args[i].Write && v.kind == pointer && v.obj.frame != nil {
			e.written(fn, i, v)
		}
	}
	if fn.Proto.ChangesPacket {
		e.packet = nil
	}
	r0 := value{kind: number, t: e.fresh(8, false)}
	ret := fn.Proto.Ret
	m := result.FindStringSubmatch(s.after[0])
	switch {
	case ret.Kind == helpers.RetInteger && (ret.Min != 0 || ret.Max != 0):
		e.assert("(and (bvsge %s %s) (bvsle %s %s))", r0.t, lit(uint64(ret.Min)), r0.t, lit(uint64(ret.Max)))
	case m != nil && m[1] == "map_ptr":
		return "a map of maps"
	case m != nil:
		var size uint64
		fmt.Sscan(m[3], &size)
		o := e.object(lit(0), lit(size))
		if ret.Nullable {
			o.null = e.absent(fn)
		}
		r0 = value{kind: pointer, t: lit(0), obj: o, fixed: true}
		e.made[s.pc] = o
	}
	e.returned(r0)
	return ""
}

// written says that fn may have written to its argument i, which is v: anything.
func (e *execution) written(fn *helpers.Func, i int, v value) {
	n := int64(max(int(fn.Proto.Args[i].Size), fn.Proto.Args[i].StackSize()))
	if j := fn.Proto.SizeArg(i); j >= 0 && e.top().regs[1+j].fixed {
		n = e.top().regs[1+j].at
	}
	if !v.fixed || n <= 0 || n > 64 {
		e.forget(v.obj.frame)
		return
	}
	for k := v.at; k < v.at+n; k++ {
		e.store(v.obj.frame, fixed(k), 1, value{kind: number, t: e.fresh(8, false)})
	}
}

// somewhere returns a pointer to memory of which nothing is known.
func (e *execution) somewhere() value {
	return value{kind: pointer, t: lit(0), obj: e.object("", ""), fixed: true}
}

// callee returns the helper or kfunc that in calls; nil if it is not known.
func (e *execution) callee(in prog.Insn) *helpers.Func {
	switch {
	case in.Src == isa.CallHelper:
		return e.p.Type.Helpers.Helper(helpers.ID(in.Imm))
	case in.Src != isa.CallKfunc || uint32(in.Imm) >= uint32(len(e.p.Externs)):
		return nil
	}
	name := e.p.Externs[in.Imm].Name
	if f := e.p.Type.Helpers.Kfunc(name); f != nil {
		return f
	}
	if f := helpers.Kfunc(name); f != nil {
		return f
	}
	return helpers.Builtin(name)
}

// absent returns when a lookup finds nothing: in an array, if the key is not
// below the number of entries.
func (e *execution) absent(fn *helpers.Func) cond {
	f := e.top()
	spec, key := (*maps.Spec)(nil), f.regs[2]
	if f.regs[1].kind == handle {
		spec = f.regs[1].obj.spec
	}
	if fn.Name == "map_lookup_elem" && spec != nil && (spec.Type == maps.Array || spec.Type == maps.PerCPUArray) && key.kind == pointer && key.obj.frame != nil {
		k := e.load(key.obj.frame, key, 4, false, "scalar")
		return cond(fmt.Sprintf("(bvuge %s %s)", k.t, lit(uint64(spec.MaxEntries))))
	}
	e.names++
	name := fmt.Sprintf("b%d", e.names)
	fmt.Fprintf(&e.text, "(declare-const %s Bool)\n", name)
	return cond(name)
}

var leaked = regexp.MustCompile(`^Unreleased reference id=\d+ alloc_insn=(\d+)`)

// violate asserts that the last step breaks its rule.
func (e *execution) violate(s step, message string) (why string) {
	in := e.p.Insns[s.pc]
	f := e.top()
	switch c := in.Op.Class(); {
	case strings.Contains(message, "At callback return the register R0"):
		e.assert("(bvugt %s %s)", e.number(f.regs[0]), lit(1))
		return ""
	case strings.Contains(message, "At program exit the register R0"):
		r := e.p.Type.Return
		e.assert("(or (bvslt %s %s) (bvsgt %s %s))", e.number(f.regs[0]), lit(uint64(r.Min)), e.number(f.regs[0]), lit(uint64(r.Max)))
		return ""
	case leaked.MatchString(message): // null is no reference
		var pc int
		fmt.Sscan(leaked.FindStringSubmatch(message)[1], &pc)
		if o := e.made[pc]; o != nil && o.null != "" {
			e.assert("(not %s)", o.null)
		}
		return ""
	case strings.Contains(message, "_or_null prohibited") && c == isa.ALU64:
		for _, v := range []value{f.regs[in.Dst], f.regs[in.Src]} {
			if v.kind == pointer && v.obj.null != "" {
				e.assert("%s", v.obj.null)
			}
		}
		return ""
	case aboutOffset(message) && c == isa.ALU64:
		return e.away(e.arithmetic(in))
	case !aboutMemory(message):
		return "" // to come here is what must not happen
	case c == isa.LDX, c == isa.STX && in.Imm == isa.LoadAcquire && in.Op.Mode() == isa.ATOMIC:
		return e.outside(f.regs[in.Src], in.Off, lit(uint64(in.Op.Size().Bytes())))
	case c == isa.ST, c == isa.STX:
		return e.outside(f.regs[in.Dst], in.Off, lit(uint64(in.Op.Size().Bytes())))
	case in.IsCall(isa.CallHelper):
		return e.badArguments(in)
	}
	return "a message about memory, of no access: " + message
}

// aboutMemory reports whether message is about where an access goes, or how much
// memory a helper gets.
func aboutMemory(message string) bool {
	if strings.Contains(message, "!read_ok") || strings.Contains(message, "misaligned") || strings.Contains(message, "expected=") {
		return false
	}
	for _, part := range []string{"invalid access to", "unbounded memory access", "stack R", "is negative", "invalid mem access 'map_value_or_null'", "invalid mem access 'pkt_end'", "invalid mem access 'ringbuf_mem_or_null'", "zero-sized", "outside of the"} {
		if strings.Contains(message, part) {
			return true
		}
	}
	return false
}

// aboutOffset reports whether message is about an offset that a pointer gets.
func aboutOffset(message string) bool {
	return strings.Contains(message, "math between") || strings.Contains(message, "pointer be out of bounds")
}

// away asserts that p points out of its region, and not to its end. If it has
// none, to come here is what must not happen.
func (e *execution) away(p value) (why string) {
	if p.kind != pointer || p.obj.lo == "" {
		return ""
	}
	hi := p.obj.hi
	if p.obj.packet {
		hi = lit(1 << 24) // beyond the longest packet
	}
	e.assert("(or (bvslt %s %s) (bvsgt %s %s))", p.t, p.obj.lo, p.t, hi)
	return ""
}

// outside asserts that an access of size bytes at p + off leaves its region.
func (e *execution) outside(p value, off int16, size term) (why string) {
	c, why := e.leaves(p, off, size)
	if why == "" {
		e.assert("%s", c)
	}
	return why
}

// leaves returns when an access leaves its region. Sizes are below 2^32, and
// signed comparisons of sums with saturation are spared by bounding the start
// first.
func (e *execution) leaves(p value, off int16, size term) (c cond, why string) {
	if p.kind != pointer {
		return "true", ""
	}
	o := p.obj
	if o.lo == "" {
		return "", "an access to what has no known size"
	}
	start := e.alu(isa.Add, 64, 0, p.t, lit(uint64(int64(off))))
	room := e.define("(bvsub %s %s)", o.hi, start) // start is at least lo, so at most 2^25
	c = cond(fmt.Sprintf("(or (bvslt %s %s) (bvsgt %s %s) (bvsgt %s %s))", start, o.lo, start, o.hi, size, room))
	if o.null != "" {
		c = cond(fmt.Sprintf("(or %s %s)", o.null, c))
	}
	return c, ""
}

// badArguments asserts that some argument is not memory of the size that goes
// with it.
func (e *execution) badArguments(in prog.Insn) (why string) {
	fn := e.callee(in)
	if fn == nil {
		return "a call of a function that is not known"
	}
	f := e.top()
	bad := "(or false"
	var spec *maps.Spec
	for i := range fn.Proto.NumArgs() {
		v, arg := f.regs[1+i], fn.Proto.Args[i]
		var size term
		switch arg.Kind {
		case helpers.ArgMapPtr:
			if v.kind == handle {
				spec = v.obj.spec
			}
			continue
		case helpers.ArgMapKey, helpers.ArgMapValue:
			if spec == nil {
				return "the map is not known"
			}
			size = lit(uint64(spec.KeySize))
			if arg.Kind == helpers.ArgMapValue {
				size = lit(uint64(spec.ValueSize))
			}
		case helpers.ArgMem:
			size = lit(uint64(arg.Size))
			if j := fn.Proto.SizeArg(i); j >= 0 {
				size = e.number(f.regs[1+j])
				least := 1
				if fn.Proto.Args[j].Kind == helpers.ArgSizeOrZero {
					least = 0
				}
				bad += fmt.Sprintf(" (bvslt %s %s) (bvsge %s %s)", size, lit(uint64(least)), size, lit(helpers.MaxMem))
			}
		default:
			continue
		}
		if v.kind == number && arg.Nullable {
			bad += fmt.Sprintf(" (not (= %s %s)) (not (= %s %s))", v.t, lit(0), size, lit(0))
			continue
		}
		c, why := e.leaves(v, 0, size)
		if why != "" {
			return why
		}
		bad += " " + string(c)
	}
	e.assert("%s)", bad)
	return ""
}

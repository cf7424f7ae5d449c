package interp

// fold makes one insn of several where a form says it all. No jump leads between
// what becomes one.
func (t *translator) fold() {
	out := t.insns[:0]
	moved := make([]int32, len(t.insns)) // by insn: its index afterwards
	next := int32(0)                     // insn that follows the last one of out
	for _, in := range t.insns {
		out = append(out, in)
		moved[next] = int32(len(out)) - 1
		next++
		for again := true; again; {
			again = false
			for _, rule := range rules {
				n := len(out) - rule.n
				if n < 0 || !follow(out[n+1:]) {
					continue
				}
				leads, pc := out[n].leads, out[len(out)-1].pc
				if rule.apply(out[n:], next) {
					out = out[:n+1]
					out[n].leads, out[n].pc = leads, pc
					moved[next-1] = int32(n)
					again = true
				}
			}
		}
	}
	t.insns = out
	for i := range t.insns {
		t.insns[i].leads = false
	}
	for i := range t.insns {
		if in := &t.insns[i]; in.target >= 0 {
			in.target = moved[in.target]
			t.insns[in.target].leads = true
		}
	}
	for f := range t.entry {
		t.entry[f] = moved[t.entry[f]]
		t.insns[t.entry[f]].leads = true
	}
}

// follow reports whether no jump leads to ins.
func follow(ins []insn) bool {
	for i := range ins {
		if ins[i].leads {
			return false
		}
	}
	return true
}

// rules turn n insns into one, the first. apply reports whether it did so; next
// is the index of the insn after them.
var rules = []struct {
	n     int
	apply func(in []insn, next int32) bool
}{
	{2, foldCopy}, {2, foldExtension}, {2, foldAddress}, {2, foldOver}, {3, foldRotate},
}

// foldCopy makes one operation of a copy and an operation on it.
//
// Sound: the copy's register is overwritten at once, so nobody sees the copy.
// Where the second operand is the copy as well, it is the original instead. A
// copy of 32 bits serves an operation that reads no more than them.
func foldCopy(in []insn, _ int32) bool {
	move, o := &in[0], in[1]
	if move.code != opMovX && move.code != opMov32X || !operation(o.code, move.code == opMov32X) || o.d != move.d || o.a != move.d {
		return false
	}
	if o.b == move.d {
		o.b = move.a
	}
	o.a = move.a
	*move = o
	return true
}

// operation reports whether code computes d from a, and perhaps b or a
// constant, and nothing else; narrow: reading the lower 32 bits alone.
func operation(code opcode, narrow bool) bool {
	switch code {
	case opAdd32X, opAdd32K, opMul32X, opMul32K, opAnd32X, opAnd32K, opOr32X, opOr32K, opXor32X, opXor32K, opSub32X,
		opLsh32K, opRsh32K, opArsh32K, opMov32X, opNeg32, opSx8, opSx16, opSx32, opSx8to32, opSx16to32, opSwap16, opSwap32:
		return true
	case opAddX, opAddK, opMulX, opMulK, opAndX, opAndK, opOrX, opOrK, opXorX, opXorK, opSubX,
		opLshX, opLshK, opRshX, opRshK, opArshX, opArshK, opLsh32X, opRsh32X, opArsh32X, opMovX, opNeg, opSwap64:
		return !narrow
	}
	return false
}

// foldExtension makes one copy of two shifts by the same amount, to the left and
// back: what programs extend narrow numbers with where the CPU version has no
// instruction for it.
func foldExtension(in []insn, _ int32) bool {
	left, right := &in[0], &in[1]
	if left.code != opLshK && left.code != opLsh32K || right.imm != left.imm || right.d != left.d || right.a != left.d {
		return false
	}
	code, ok := extensions[extension{left.code, right.code, left.imm}]
	if ok {
		left.code, left.imm = code, 0
	}
	return ok
}

type extension struct {
	left, right opcode
	by          int32
}

var extensions = map[extension]opcode{
	{opLshK, opRshK, 32}: opMov32X, {opLshK, opArshK, 32}: opSx32, {opLshK, opArshK, 48}: opSx16, {opLshK, opArshK, 56}: opSx8,
	{opLsh32K, opArsh32K, 16}: opSx16to32, {opLsh32K, opArsh32K, 24}: opSx8to32,
}

// foldAddress makes one operation of a wide constant to which a register is
// added.
func foldAddress(in []insn, _ int32) bool {
	wide, add := &in[0], &in[1]
	if wide.code != opWide || add.code != opAddX || add.d != wide.d || add.a != wide.d || add.b == wide.d {
		return false
	}
	wide.code, wide.b = opWideAdd, add.b
	return true
}

// foldOver makes one jump of a conditional one over an unconditional one.
func foldOver(in []insn, next int32) bool {
	over, jump := &in[0], &in[1]
	if jump.code != opJA || over.target != next {
		return false
	}
	code, ok := opposite[over.code]
	if !ok {
		return false
	}
	if exchanged[over.code] {
		over.a, over.b = over.b, over.a
	}
	over.code, over.target, over.cost = code, jump.target, jump.cost
	return true
}

// exchanged are the jumps whose opposite has its operands exchanged: of two
// registers, less has no form of its own.
var exchanged = map[opcode]bool{
	opJGtX: true, opJGeX: true, opJGt32X: true, opJGe32X: true, opJSGtX: true, opJSGeX: true, opJSGt32X: true, opJSGe32X: true,
}

// opposite is the jump that is taken if another is not.
var opposite = func() map[opcode]opcode {
	m := map[opcode]opcode{}
	for _, p := range [][2]opcode{
		{opJEqK, opJNeK}, {opJEqX, opJNeX}, {opJEq32K, opJNe32K}, {opJEq32X, opJNe32X},
		{opJGtK, opJLeK}, {opJGeK, opJLtK}, {opJGt32K, opJLe32K}, {opJGe32K, opJLt32K},
		{opJSGtK, opJSLeK}, {opJSGeK, opJSLtK}, {opJSGt32K, opJSLe32K}, {opJSGe32K, opJSLt32K},
		{opJGtX, opJGeX}, {opJGt32X, opJGe32X}, {opJSGtX, opJSGeX}, {opJSGt32X, opJSGe32X},
	} {
		m[p[0]], m[p[1]] = p[1], p[0]
	}
	return m
}()

// foldRotate makes one operation of two shifts of a register, in opposite
// directions, and their disjunction. One of the shifts stays visible in the
// other register.
func foldRotate(in []insn, _ int32) bool {
	first, second, or := &in[0], &in[1], &in[2]
	var width int32
	left, right := first, second
	switch {
	case or.code == opOrX:
		width = 64
		if left.code != opLshK {
			left, right = second, first
		}
		if left.code != opLshK || right.code != opRshK {
			return false
		}
	case or.code == opOr32X:
		width = 32
		if left.code != opLsh32K {
			left, right = second, first
		}
		if left.code != opLsh32K || right.code != opRsh32K {
			return false
		}
	default:
		return false
	}
	x, y := first.d, second.d
	if first.a != second.a || x == first.a || left.imm+right.imm != width || left.imm <= 0 || right.imm <= 0 ||
		or.a != x && or.a != y || or.b != x && or.b != y || or.a == or.b || or.d != x && or.d != y {
		return false
	}
	other := left // whose value stays
	if or.d == left.d {
		other = right
	}
	o := op{d: or.d, a: first.a, b: other.d, imm: left.imm}
	switch {
	case width == 64 && other == left:
		o.code = opRotateL
	case width == 64:
		o.code = opRotateR
	case other == left:
		o.code = opRotate32L
	default:
		o.code = opRotate32R
	}
	first.op = o
	return true
}

package interp

import "github.com/skepvm/skep/prog"

// pair makes ops of the insns: copies are folded into the operation that
// follows, and of the pairs that have an opcode as many as possible are
// chosen. No jump leads between what becomes one.
func (t *translator) pair() {
	t.fold()
	n := len(t.insns)
	// most[i] is how many ops can be saved from i on.
	most := make([]int32, n+2)
	for i := n - 2; i >= 0; i-- {
		most[i] = most[i+1]
		if t.paired(i) != 0 && most[i+2]+1 > most[i] {
			most[i] = most[i+2] + 1
		}
	}
	place := make([]int32, n) // by insn: index of its op
	t.ops = make([]op, 0, n-int(most[0]))
	t.pcs = make([]prog.PC, 0, n-int(most[0]))
	targets := make([]int32, 0, n)
	for i := 0; i < n; i++ {
		place[i] = int32(len(t.ops))
		in := &t.insns[i]
		o, target := in.op, in.target
		if i+1 < n && most[i] == most[min(i+2, n)]+1 && t.paired(i) != 0 {
			next := &t.insns[i+1]
			o.code = t.paired(i)
			o.d2, o.a2, o.b2, o.imm2 = next.d, next.a, next.b, next.imm
			o.off, o.cost = next.off, next.cost
			in, target = next, next.target
			i++
			place[i] = int32(len(t.ops))
		}
		t.ops, t.pcs, targets = append(t.ops, o), append(t.pcs, in.pc), append(targets, target)
	}
	for i, target := range targets {
		if target >= 0 {
			t.ops[i].off = (place[target] - int32(i) - 1) * int32(opSize)
		}
	}
	for f, e := range t.entry {
		t.entry[f] = place[e]
	}
}

// paired returns the opcode of insns i and i+1 as a pair; 0 if there is none.
func (t *translator) paired(i int) opcode {
	if i+1 >= len(t.insns) || t.insns[i+1].leads {
		return 0
	}
	a, b := t.insns[i].code, t.insns[i+1].code
	return pairs[a][b]
}

// fold makes one operation of a copy and the operation on it that follows.
//
// Sound: the copy's register is overwritten at once, so nobody sees the copy.
// Where the second operand is the copy as well, it is the original instead. A
// copy of 32 bits serves an operation that reads no more than them.
func (t *translator) fold() {
	n := 0
	moved := make([]int32, len(t.insns)) // by insn: its index afterwards
	for i := 0; i < len(t.insns); i++ {
		moved[i] = int32(n)
		in := t.insns[i]
		if i+1 < len(t.insns) && !t.insns[i+1].leads {
			next := t.insns[i+1]
			whole := in.code == opMovX
			if (whole || in.code == opMov32X) && operation(next.code, !whole) && next.d == in.d && next.a == in.d {
				if next.b == in.d {
					next.b = in.a
				}
				next.a, next.leads = in.a, in.leads
				in = next
				i++
				moved[i] = int32(n)
			}
		}
		t.insns[n] = in
		n++
	}
	t.insns = t.insns[:n]
	for i := range t.insns {
		if in := &t.insns[i]; in.target >= 0 {
			in.target = moved[in.target]
		}
	}
	for f := range t.entry {
		t.entry[f] = moved[t.entry[f]]
	}
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

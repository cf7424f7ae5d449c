package interp

import "github.com/skepvm/skep/prog"

// pair makes ops of the insns: of the pairs that have an opcode as many as
// possible. No jump leads between what becomes one.
func (t *translator) pair() {
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

package prog

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"

	"github.com/skepvm/skep/internal/isa"
)

// Assemble turns text into raw slots, as FromInsns takes them: one instruction
// per line, in the form that Format and Disasm print, the kernel's verifier
// log and bpftool print, or clang and llvm-objdump read and print.
//
//	start:                        ; a label; comments begin with ; // or " #"
//	    r1 = 5                    # 32 bits, sign-extended
//	    r2 = 0x123456789 ll       # wide
//	    if r1 s> 0x5 goto start   # or goto pc+3, goto +3
//	    call 5                    # helper 5; or call bpf_anything#5
//	    call double               # subprogram at a label; or call pc+3
//	    r1 = map[0]               # map 0; map[0][0]+8: byte 8 of its value
//	    r2 = subprog[double]      # address of a subprogram
//	    exit
//
// A slot number before an instruction and its opcode in parentheses after that
// are skipped, except that (18) makes "r1 = 5" wide, as in the kernel's text.
// Immediates are signed; where only 32 bits count, 0x80000000 to 0xffffffff
// mean the same bits. In comparisons they do too, because the kernel prints
// "r1 == 0xffffffff" for the immediate -1. An error names the line.
func Assemble(text string) ([]Insn, error) {
	a := assembler{labels: map[string]PC{}}
	for num := 1; text != ""; num++ {
		line, rest, _ := strings.Cut(text, "\n")
		text = rest
		if err := a.line(num, line); err != nil {
			return nil, fmt.Errorf("line %d: %w", num, err)
		}
	}
	for _, u := range a.uses {
		if err := a.link(u); err != nil {
			return nil, fmt.Errorf("line %d: %w", u.line, err)
		}
	}
	return a.insns, nil
}

type assembler struct {
	insns  []Insn
	labels map[string]PC
	uses   []labelUse
}

// A labelUse is a slot that a label completes.
type labelUse struct {
	pc    PC
	line  int
	label string
	slot  string // "off" or "rel"
}

func (a *assembler) line(num int, line string) error {
	line, opcode := cutSlot(line)
	tokens, err := lex(line)
	if err != nil {
		return err
	}
	tokens, err = a.takeLabel(tokens)
	if err != nil {
		return err
	}
	if len(tokens) == 0 {
		return nil
	}
	tokens = normalise(tokens)
	var why error
	for _, p := range patterns()[shape(tokens)] {
		if opcode >= 0 && isa.Op(opcode) != p.op || opcode < 0 && p.needsOpcode {
			continue
		}
		m, err := p.match(tokens)
		if err != nil {
			why = err
			continue
		}
		if m == nil {
			continue
		}
		if len(a.insns)+len(m.insns) > MaxInsns {
			return fmt.Errorf("more than %d slots", MaxInsns)
		}
		if m.label != "" {
			a.uses = append(a.uses, labelUse{PC(len(a.insns)), num, m.label, m.slot})
		}
		a.insns = append(a.insns, m.insns...)
		return nil
	}
	if why != nil {
		return fmt.Errorf("%.80s: %w", strings.TrimSpace(line), why)
	}
	return fmt.Errorf("%.80s: no such instruction", strings.TrimSpace(line))
}

// takeLabel removes a label, which it notes: "name:", or a line as llvm-objdump
// prints it ("00000008 <name>:").
func (a *assembler) takeLabel(tokens []token) ([]token, error) {
	t := tokens
	if len(t) == 5 && t[0].kind == 'n' && t[1].text == "<" && t[3].text == ">" {
		t = []token{t[2], t[4]}
	}
	if len(t) < 2 || t[0].kind != 'i' || t[1].text != ":" {
		return tokens, nil
	}
	name := t[0].text
	if _, ok := a.labels[name]; ok {
		return nil, fmt.Errorf("label %.40s is defined twice", name)
	}
	a.labels[name] = PC(len(a.insns))
	return t[2:], nil
}

// cutSlot removes a slot number ("12:") and an opcode ("(b7)") from the start
// of a line; opcode is -1 if there is none.
func cutSlot(line string) (rest string, opcode int) {
	rest = strings.TrimLeft(line, " \t")
	if digits, after, ok := strings.Cut(rest, ":"); ok && digits != "" && strings.Trim(digits, "0123456789") == "" {
		rest = strings.TrimLeft(after, " \t")
	}
	if len(rest) < 4 || rest[0] != '(' || rest[3] != ')' {
		return rest, -1
	}
	op, err := strconv.ParseUint(rest[1:3], 16, 8)
	if err != nil {
		return rest, -1
	}
	return rest[4:], int(op)
}

// normalise rewrites what others write into the form of the patterns. Labels
// become numbers that carry the label's name.
func normalise(tokens []token) []token {
	tokens = dropNames(tokens)
	n := len(tokens)
	word := func(i int, text string) bool {
		return i >= 0 && i < n && tokens[i].kind == 'i' && tokens[i].text == text
	}
	name := func(i int) bool { return i >= 0 && i < n && tokens[i].kind == 'i' }
	pc := token{kind: 'i', text: "pc"}
	switch {
	case (word(n-2, "goto") || word(n-2, "gotol") || word(n-2, "may_goto")) && tokens[n-1].kind == 'n':
		return append(append([]token{}, tokens[:n-1]...), pc, tokens[n-1]) // goto +3
	case (word(n-2, "goto") || word(n-2, "gotol") || word(n-2, "may_goto")) && name(n-1):
		return append(append([]token{}, tokens[:n-1]...), pc, token{kind: 'n', text: tokens[n-1].text})
	case n == 2 && word(0, "call") && name(1):
		return []token{tokens[0], pc, {kind: 'n', text: tokens[1].text}}
	case n == 4 && word(0, "call") && name(1) && tokens[2].text == "#" && tokens[3].kind == 'n':
		return []token{tokens[0], tokens[3]} // call bpf_anything#5
	case n == 6 && word(2, "subprog") && tokens[3].text == "[" && name(4):
		t := append([]token{}, tokens...)
		t[4] = token{kind: 'n', text: tokens[4].text}
		return t
	}
	return tokens
}

// dropNames removes what follows an instruction for people: "#name", as
// Disasm prints it, and "<name>" or "<name+0x8>", as llvm-objdump does.
func dropNames(tokens []token) []token {
	for i, t := range tokens {
		if i+1 < len(tokens) && t.text == "#" && tokens[i+1].kind == 'i' {
			return tokens[:i]
		}
	}
	n := len(tokens)
	if n == 0 || tokens[n-1].text != ">" {
		return tokens
	}
	for i := n - 2; i >= max(0, n-4); i-- {
		if tokens[i].text == "<" {
			return tokens[:i]
		}
	}
	return tokens
}

// link writes the distance to a label.
func (a *assembler) link(u labelUse) error {
	target, ok := a.labels[u.label]
	if !ok {
		return fmt.Errorf("label %.40s is not defined", u.label)
	}
	d := int64(target) - int64(u.pc) - 1
	in := &a.insns[u.pc]
	if u.slot == "rel" {
		in.Imm = int32(d) // |d| ≤ MaxInsns
		return nil
	}
	if d < math.MinInt16 || d > math.MaxInt16 {
		return fmt.Errorf("label %.40s is %d slots away: beyond 16 bits, use gotol", u.label, d)
	}
	in.Off = int16(d)
	return nil
}

// A pattern is a text form of an instruction.
type pattern struct {
	op          isa.Op
	form        *isa.Form
	tokens      []token
	needsOpcode bool // only with the opcode in parentheses
}

// patterns returns every pattern by its shape.
var patterns = sync.OnceValue(func() map[string][]*pattern {
	by := map[string][]*pattern{}
	add := func(f *isa.Form, text string, needsOpcode bool) {
		tokens, err := lex(text)
		if err != nil {
			panic("BUG: instruction text " + text + ": " + err.Error())
		}
		s := shape(tokens)
		by[s] = append(by[s], &pattern{f.Op, f, tokens, needsOpcode})
	}
	for i := range isa.Forms() {
		f := &isa.Forms()[i]
		add(f, f.Text, false)
		for _, text := range otherTexts(f) {
			add(f, text, false)
		}
		if wide, ok := strings.CutSuffix(f.Text, " ll"); ok {
			add(f, wide, true)
		}
	}
	return by
})

// otherTexts returns how clang and llvm-objdump write f where that differs
// from the kernel (LLVM, BPFInstrInfo.td): narrow values in w registers, and
// atomics that say their width in other places.
func otherTexts(f *isa.Form) []string {
	var out []string
	narrow := f.Op.Class() >= isa.LDX && f.Op.Class() <= isa.STX && f.Op.Class() != isa.ST && f.Op.Size() != isa.DW &&
		f.Op.Mode() != isa.MEMSX
	if narrow {
		switch {
		case strings.HasPrefix(f.Text, "r{dst} ="):
			out = append(out, "w"+f.Text[1:])
		case strings.HasPrefix(f.Text, "r{src} ="):
			out = append(out, "w{src}"+strings.Replace(f.Text[len("r{src}"):], ", r{src}", ", w{src}", 1))
		case strings.HasPrefix(f.Text, "r0 ="):
			out = append(out, "w0"+strings.Replace(f.Text[len("r0"):], "r0, r{src}", "w0, w{src}", 1))
		case strings.HasSuffix(f.Text, "= r{src}"):
			out = append(out, strings.TrimSuffix(f.Text, "r{src}")+"w{src}")
		case strings.HasPrefix(f.Text, "store_release"):
			out = append(out, strings.Replace(f.Text, ", r{src}", ", w{src}", 1))
		}
	}
	switch {
	case strings.Contains(f.Text, "atomic64_fetch"):
		out = append(out, strings.Replace(f.Text, "atomic64_fetch", "atomic_fetch", 1))
	case strings.Contains(f.Text, "atomic64_xchg"):
		out = append(out, "r{src} = xchg_64(r{dst} {off}, r{src})")
	case strings.Contains(f.Text, "atomic_xchg"):
		out = append(out, "w{src} = xchg32_32(r{dst} {off}, w{src})")
	case strings.Contains(f.Text, "atomic64_cmpxchg"):
		out = append(out, "r0 = cmpxchg_64(r{dst} {off}, r0, r{src})")
	case strings.Contains(f.Text, "atomic_cmpxchg"):
		out = append(out, "w0 = cmpxchg32_32(r{dst} {off}, w0, w{src})")
	case strings.HasSuffix(f.Text, "skb[r{src} + {imm}]"):
		out = append(out, strings.Replace(f.Text, " + {imm}", "", 1))
	}
	return out
}

// A match is a line that fits a pattern.
type match struct {
	insns       []Insn
	label, slot string // what a label has yet to fill in
}

// match returns the instruction that tokens, which have p's shape, stand for;
// nil if a fixed number differs, and an error if a field cannot hold its value.
func (p *pattern) match(tokens []token) (*match, error) {
	m := &match{}
	in, next := Insn{Op: p.op}, Insn{}
	for _, field := range []string{"dst", "src", "off", "imm"} {
		if n, ok := p.form.Fixed(field); ok {
			switch field {
			case "src":
				in.Src = Reg(n)
			case "off":
				in.Off = int16(n)
			case "imm":
				in.Imm = n
			}
		}
	}
	seen := map[string]uint64{}
	for i, want := range p.tokens {
		t := tokens[i]
		if want.kind == 'i' || want.kind == 'o' {
			continue
		}
		if want.slot == "" {
			if t.value != want.value || t.neg != want.neg || t.text != "" {
				return nil, nil
			}
			continue
		}
		if v, again := seen[want.slot]; again && v != t.value {
			return nil, nil
		}
		seen[want.slot] = t.value
		var err error
		switch want.slot {
		case "dst":
			in.Dst = Reg(t.value)
		case "src":
			in.Src = Reg(t.value)
		case "off", "rel":
			if t.text != "" {
				m.label, m.slot = t.text, want.slot
			} else if want.slot == "off" {
				var n int64
				n, err = t.within(math.MinInt16, math.MaxInt16)
				in.Off = int16(n)
			} else {
				in.Imm, err = t.int32(false)
			}
		case "imm":
			in.Imm, err = t.int32(p.only32())
		case "hex":
			in.Imm, err = t.int32(true)
		case "next":
			next.Imm, err = t.int32(true)
		case "imm64":
			var v uint64
			v, err = t.uint64()
			in.Imm, next.Imm = int32(v), int32(v>>32)
		}
		if err != nil {
			return nil, err
		}
	}
	if _, err := isa.Find(in.Op, uint8(in.Dst), uint8(in.Src), in.Off, in.Imm); err != nil {
		return nil, err
	}
	m.insns = []Insn{in}
	if in.IsWide() {
		m.insns = append(m.insns, next)
	}
	return m, nil
}

// only32 reports whether the instruction uses no more than the 32 bits of its
// immediate, so that their sign does not matter.
func (p *pattern) only32() bool {
	switch p.op.Class() {
	case isa.ALU:
		return true
	case isa.ST:
		return p.op.Size() != isa.DW
	}
	return false
}

// within returns the number if it lies between lo and hi.
func (t token) within(lo, hi int64) (int64, error) {
	if t.text != "" {
		return 0, fmt.Errorf("%.40s: labels go to jumps and calls only", t.text)
	}
	n := int64(t.value)
	if t.neg {
		n = -n
	}
	if t.value > 1<<62 || n < lo || n > hi {
		return 0, fmt.Errorf("%s is outside %d to %d", t.number(), lo, hi)
	}
	return n, nil
}

// int32 returns the number as an immediate. bits says that numbers which need
// 32 bits without a sign are meant as bits.
func (t token) int32(bits bool) (int32, error) {
	hi := int64(math.MaxInt32)
	if bits {
		hi = math.MaxUint32
	}
	n, err := t.within(math.MinInt32, hi)
	return int32(uint32(n)), err
}

func (t token) uint64() (uint64, error) {
	switch {
	case t.text != "":
		return 0, fmt.Errorf("%.40s: labels go to jumps and calls only", t.text)
	case !t.neg:
		return t.value, nil
	case t.value > 1<<63:
		return 0, fmt.Errorf("%s is below the least integer of 64 bits", t.number())
	}
	return -t.value, nil
}

func (t token) number() string {
	if t.neg {
		return fmt.Sprintf("-%d", t.value)
	}
	return fmt.Sprintf("%d", t.value)
}

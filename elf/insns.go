package elf

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/cilium/ebpf/asm"
	ciliumbtf "github.com/cilium/ebpf/btf"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// FromInstructions returns an object with one program, called name, that runs
// insns. Symbols that a call or a function pointer refers to start
// subprograms; others are labels for jumps. References to maps name one of ms.
// The program has no type; the caller chooses one.
//
// A fault in a function is kept in its Func.Err, as when an object is read.
func FromInstructions(name string, insns asm.Instructions, opts Options, ms ...*maps.Spec) (*prog.Object, error) {
	s := &specReader{obj: &prog.Object{File: name}, opts: opts, maps: map[string]*maps.Spec{}}
	for _, m := range ms {
		if s.maps[m.Name] != nil {
			return nil, &Error{File: name, Symbol: m.Name, PC: -1, Err: errors.New("two maps of one name")}
		}
		s.maps[m.Name] = m
	}
	s.obj.Maps = append(s.obj.Maps, ms...)
	f, err := s.functions(name, "", insns)
	if err != nil {
		return nil, &Error{File: name, PC: -1, Err: err}
	}
	s.obj.Programs = []*prog.Spec{{Name: name, Func: f}}
	return s.obj, nil
}

// A specReader turns cilium's structures into a prog.Object.
type specReader struct {
	obj     *prog.Object
	opts    Options
	maps    map[string]*maps.Spec
	types   typeConverter
	local   *ciliumbtf.Spec           // the collection's types; nil if it has none
	externs map[string]ciliumbtf.Type // .ksyms
	kconfig *kconfig                  // nil if the collection declares none
	kvars   map[uint32]string         // cilium's offsets of .kconfig variables
}

// functions splits insns into functions and resolves them; the result is the
// first.
func (s *specReader) functions(name, section string, insns asm.Instructions) (*prog.Func, error) {
	if len(insns) == 0 {
		return nil, errors.New("no instructions")
	}
	// Where functions start: what calls and function pointers name, by symbol
	// or by distance.
	symbols, slots, total := map[string]int{}, make([]int, len(insns)), 0
	at := map[int]int{} // slot to index
	for i := range insns {
		slots[i] = total
		at[total] = i
		total += int(insns[i].Width())
		if sym := insns[i].Symbol(); sym != "" {
			if _, dup := symbols[sym]; dup {
				return nil, fmt.Errorf("symbol %s occurs twice", sym)
			}
			symbols[sym] = i
		}
	}
	starts := map[int]bool{0: true}
	target := func(i int) (int, error) {
		in := &insns[i]
		if ref := in.Reference(); ref != "" {
			j, ok := symbols[ref]
			if !ok {
				return 0, fmt.Errorf("no function %s", ref)
			}
			return j, nil
		}
		j, ok := at[int(int64(slots[i])+1+int64(int32(in.Constant)))]
		if !ok {
			return 0, fmt.Errorf("no instruction at distance %d", in.Constant)
		}
		return j, nil
	}
	for i := range insns {
		if insns[i].IsFunctionReference() {
			if j, err := target(i); err == nil {
				starts[j] = true
			}
		}
	}
	byStart := map[int]*prog.Func{}
	bodies := map[*prog.Func][2]int{}
	var order []*prog.Func
	for i := range insns {
		if !starts[i] {
			continue
		}
		f := &prog.Func{Name: insns[i].Symbol(), Section: section, Global: i == 0}
		if fn := ciliumbtf.FuncMetadata(&insns[i]); fn != nil {
			f.Type = s.types.convert(fn)
			f.Global = f.Type.Global
		}
		if f.Name == "" {
			f.Name = name
			if i > 0 {
				f.Name = fmt.Sprintf("%s+%d", name, slots[i])
			}
		}
		if n := len(order); n > 0 {
			body := bodies[order[n-1]]
			bodies[order[n-1]] = [2]int{body[0], i}
		}
		byStart[i] = f
		bodies[f] = [2]int{i, len(insns)}
		order = append(order, f)
	}
	for _, f := range order {
		lo, hi := bodies[f][0], bodies[f][1]
		fail := func(i int, err error) {
			if f.Err == nil {
				f.Err = &Error{Section: section, Symbol: f.Name, PC: prog.PC(slots[i] - slots[lo]), Err: err}
			}
		}
		for i := lo; i < hi; i++ {
			in := insns[i]
			pc := prog.PC(slots[i] - slots[lo])
			if src := in.Source(); src != nil {
				f.Lines = append(f.Lines, sourceLine(pc, src))
			}
			raw, err := encode(&in)
			if err != nil {
				fail(i, err)
			}
			f.Insns = append(f.Insns, raw...)
			var ref *prog.Ref
			switch {
			case in.IsFunctionReference():
				var j int
				if j, err = target(i); err == nil {
					kind := prog.RefFunc
					if in.IsFunctionCall() {
						kind = prog.RefCall
					}
					ref = &prog.Ref{Kind: kind, Func: byStart[j], Name: byStart[j].Name}
				} else if in.IsFunctionCall() && in.Reference() != "" {
					err = nil // a function of the host, such as memset
					ref = &prog.Ref{Kind: prog.RefExtern, Name: in.Reference()}
				}
			case in.OpCode.Class().IsJump() && in.OpCode.JumpOp() != asm.Call && in.Reference() != "":
				err = s.jump(f, pc, symbols, slots, lo, hi, in.Reference())
			default:
				ref, err = s.reference(&in)
			}
			if err != nil {
				fail(i, err)
			}
			if ref != nil {
				ref.PC = pc
				f.Refs = append(f.Refs, *ref)
			}
		}
		if err := s.applyCORE(f, insns[lo:hi], slots[lo:hi]); err != nil && f.Err == nil {
			f.Err = err
		}
	}
	return order[0], nil
}

func sourceLine(pc prog.PC, src fmt.Stringer) prog.Line {
	if l, ok := src.(*ciliumbtf.Line); ok {
		return prog.Line{PC: pc, File: l.FileName(), Num: int(l.LineNumber()), Col: int(l.LineColumn()), Text: l.Line()}
	}
	return prog.Line{PC: pc, Text: src.String()}
}

// jump sets the offset of the jump at pc to that of the label ref in [lo, hi).
func (s *specReader) jump(f *prog.Func, pc prog.PC, symbols map[string]int, slots []int, lo, hi int, ref string) error {
	j, ok := symbols[ref]
	if !ok {
		return fmt.Errorf("no label %s", ref)
	}
	if j < lo || j >= hi {
		return fmt.Errorf("label %s is in another function", ref)
	}
	in := &f.Insns[pc]
	dist := slots[j] - slots[lo] - int(pc) - 1
	if in.Op.Class() == isa.JMP32 && in.Op.JmpOp() == isa.JA {
		in.Imm = int32(dist)
		return nil
	}
	if int(int16(dist)) != dist {
		return fmt.Errorf("label %s is %d slots away", ref, dist)
	}
	in.Off = int16(dist)
	return nil
}

// platformBits are those that cilium adds to helper numbers for platforms
// other than Linux.
const platformBits = 7 << 28

// encode returns the slots of an instruction. cilium folds the offset of
// signed division and sign-extending moves, and the operation of atomics,
// into the opcode; its own encoder depends on the host.
func encode(in *asm.Instruction) ([]prog.Insn, error) {
	op, off, imm := in.OpCode, in.Offset, in.Constant
	switch {
	case op == asm.InvalidOpCode:
		return []prog.Insn{{}}, errors.New("an instruction without an opcode")
	case in.IsBuiltinCall():
		if imm >= 0 {
			imm &^= platformBits
		}
	case op.Class().IsALU():
		var code asm.ALUOp
		var fold int16
		switch op.ALUOp() {
		case asm.SDiv:
			code, fold = asm.Div, 1
		case asm.SMod:
			code, fold = asm.Mod, 1
		case asm.MovSX8:
			code, fold = asm.Mov, 8
		case asm.MovSX16:
			code, fold = asm.Mov, 16
		case asm.MovSX32:
			code, fold = asm.Mov, 32
		}
		if fold != 0 {
			if off != 0 {
				return []prog.Insn{{}}, fmt.Errorf("%v with offset %d", op, off)
			}
			op, off = op.SetALUOp(code), fold
		}
	case op.AtomicOp() != asm.InvalidAtomic:
		imm = int64(op.AtomicOp() >> 8)
		op &= 0xff
	}
	if op > 0xff || in.Dst > 15 || in.Src > 15 {
		return []prog.Insn{{}}, fmt.Errorf("opcode %#x, registers %d and %d cannot be encoded", uint32(op), in.Dst, in.Src)
	}
	first := prog.Insn{Op: isa.Op(op), Dst: prog.Reg(in.Dst), Src: prog.Reg(in.Src), Off: off, Imm: int32(imm)}
	if !op.IsDWordLoad() {
		return []prog.Insn{first}, nil
	}
	return []prog.Insn{first, {Imm: int32(imm >> 32)}}, nil
}

// reference resolves what in names outside the instructions; nil if nothing.
func (s *specReader) reference(in *asm.Instruction) (*prog.Ref, error) {
	name := in.Reference()
	switch {
	case in.IsLoadFromMap():
		return s.mapRef(in, name)
	case name == "":
		if in.IsKfuncCall() {
			return nil, fmt.Errorf("call of kfunc %d, which has no name", in.Constant)
		}
		return nil, nil
	case in.OpCode.JumpOp() == asm.Call && in.OpCode.Class().IsJump():
		ref := &prog.Ref{Kind: prog.RefExtern, Name: name, Weak: weak(in)}
		if t := s.externs[name]; t != nil {
			ref.Type = s.types.convert(t)
		}
		return ref, nil
	case in.OpCode.IsDWordLoad():
		if addr, ok := s.opts.Ksyms[name]; ok {
			return &prog.Ref{Kind: prog.RefConst, Name: name, Const: addr}, nil
		}
		if fn, ok := s.externs[name].(*ciliumbtf.Func); ok {
			return &prog.Ref{Kind: prog.RefExtern, Name: name, Type: s.types.convert(fn), Weak: weak(in)}, nil
		}
		if weak(in) {
			return &prog.Ref{Kind: prog.RefConst, Name: name}, nil
		}
		if s.externs[name] != nil {
			return nil, ksymError(name)
		}
		return nil, fmt.Errorf("undefined symbol %s", name)
	}
	return nil, fmt.Errorf("a reference to %s from an instruction that is neither a call, a jump nor wide", name)
}

func (s *specReader) mapRef(in *asm.Instruction, name string) (*prog.Ref, error) {
	off := uint32(uint64(in.Constant) >> 32)
	if in.Map() != nil {
		return nil, errors.New("a reference to a map of the kernel")
	}
	if name == "" {
		if in.Src == asm.PseudoMapValue && s.kconfig != nil {
			return s.kconfigRef(in)
		}
		return nil, errors.New("a reference to a map without its name")
	}
	m := s.maps[name]
	switch {
	case m == nil:
		return nil, fmt.Errorf("no map %s", name)
	case in.Src == asm.PseudoMapFD:
		return &prog.Ref{Kind: prog.RefMap, Map: m, Name: name}, nil
	case off >= m.ValueSize:
		return nil, fmt.Errorf("address of byte %d of map %s, whose value has %d", off, name, m.ValueSize)
	}
	return &prog.Ref{Kind: prog.RefMapValue, Map: m, Off: off, Name: name}, nil
}

// kconfigRef resolves the address of a .kconfig variable. Which one, cilium
// keeps in metadata that is readable by reflection only.
func (s *specReader) kconfigRef(in *asm.Instruction) (*prog.Ref, error) {
	v := metadata(in, "kconfigMeta", "Offset")
	if !v.IsValid() {
		return nil, errors.New("a reference to a map without its name")
	}
	name, ok := s.kvars[uint32(v.Uint())]
	if !ok {
		return nil, fmt.Errorf("no variable at offset %d of .kconfig", v.Uint())
	}
	k := s.kconfig.vars[name]
	if k.err != nil {
		return nil, k.err
	}
	return &prog.Ref{Kind: prog.RefMapValue, Map: s.kconfig.spec, Off: k.off, Name: name}, nil
}

// weak reports whether the symbol that in refers to is weak.
func weak(in *asm.Instruction) bool {
	const stbWeak = 2
	for _, typ := range []string{"kfuncMeta", "ksymMeta"} {
		if v := metadata(in, typ, "Binding"); v.IsValid() && v.Int() == stbWeak {
			return true
		}
	}
	return false
}

// metadata returns the field called field of the metadata of type *typ of in;
// the zero Value if there is none.
func metadata(in *asm.Instruction, typ, field string) reflect.Value {
	e := reflect.ValueOf(in.Metadata).FieldByName("head")
	for e.IsValid() && e.Kind() == reflect.Pointer && !e.IsNil() {
		if v := e.Elem().FieldByName("value"); v.IsValid() && v.Kind() == reflect.Interface && !v.IsNil() {
			if p := v.Elem(); p.Kind() == reflect.Pointer && !p.IsNil() && p.Type().Elem().Name() == typ {
				return p.Elem().FieldByName(field)
			}
		}
		e = e.Elem().FieldByName("next")
	}
	return reflect.Value{}
}

// applyCORE rewrites f's instructions for the target types.
func (s *specReader) applyCORE(f *prog.Func, insns asm.Instructions, slots []int) error {
	var relocs []*ciliumbtf.CORERelocation
	var pcs []int
	for i := range insns {
		r := ciliumbtf.CORERelocationMetadata(&insns[i])
		if r != nil && !strings.HasPrefix(r.String(), "CORERelocation("+coreKinds[coreLocalTypeID]) {
			relocs = append(relocs, r)
			pcs = append(pcs, slots[i]-slots[0])
		}
	}
	if len(relocs) == 0 {
		return nil
	}
	fail := func(i int, err error) error {
		return &Error{Section: f.Section, Symbol: f.Name, PC: prog.PC(pcs[i]), Err: fmt.Errorf("%v: %w", relocs[i], err)}
	}
	target := s.opts.BTF
	if target == nil {
		for i, r := range relocs {
			if !uapiType(relocatedType(r)) {
				return fail(i, errNoTarget)
			}
		}
		var err error
		if target, err = uapi(); err != nil {
			return fail(0, err)
		}
	}
	if s.local == nil {
		return fail(0, errors.New("the collection has no types"))
	}
	i, err := relocateCORE(f.Insns, relocs, pcs, target, s.local)
	if err != nil {
		return fail(i, err)
	}
	return nil
}

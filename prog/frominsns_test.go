package prog

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/skepvm/skep/maps"
)

func TestFromInsns(t *testing.T) {
	data := &maps.Spec{Name: "data", Type: maps.Array, KeySize: 4, ValueSize: 16, MaxEntries: 1}
	hash := &maps.Spec{Name: "hash", Type: maps.Hash, KeySize: 4, ValueSize: 16, MaxEntries: 1}
	for _, tc := range []struct {
		name  string
		insns []Insn
		want  []Insn // linked
		funcs []FuncInfo
		err   string
	}{
		{
			name: "subprograms",
			insns: []Insn{
				{Op: 0x85, Src: 1, Imm: 3},         // 0: call 4
				{Op: 0x18, Dst: 1, Src: 4, Imm: 4}, // 1: address of 6
				{},
				{Op: 0x95},                 // 3
				{Op: 0xb7, Dst: 0, Imm: 1}, // 4
				{Op: 0x95},
				{Op: 0xb7, Dst: 0, Imm: 2}, // 6
				{Op: 0x95},
			},
			want: []Insn{
				{Op: 0x85, Src: 1, Imm: 3},
				{Op: 0x18, Dst: 1, Src: 4, Imm: 6},
				{},
				{Op: 0x95},
				{Op: 0xb7, Dst: 0, Imm: 1},
				{Op: 0x95},
				{Op: 0xb7, Dst: 0, Imm: 2},
				{Op: 0x95},
			},
			funcs: []FuncInfo{
				{Name: "p", Entry: 0, End: 4, Global: true},
				{Name: "subprog_1", Entry: 4, End: 6},
				{Name: "subprog_2", Entry: 6, End: 8},
			},
		},
		{
			name: "maps",
			insns: []Insn{
				{Op: 0x18, Dst: 1, Src: 5, Imm: 1}, {},
				{Op: 0x18, Dst: 1, Src: 6, Imm: 0}, {Imm: 8},
				{Op: 0x95},
			},
			want: []Insn{
				{Op: 0x18, Dst: 1, Src: 1, Imm: 1}, {},
				{Op: 0x18, Dst: 1, Src: 2, Imm: 0}, {Imm: 8},
				{Op: 0x95},
			},
			funcs: []FuncInfo{{Name: "p", End: 5, Global: true}},
		},
		{name: "empty", err: "program p: no instructions"},
		{
			name:  "no such map",
			insns: []Insn{{Op: 0x18, Src: 1, Imm: 2}, {}, {Op: 0x95}},
			err:   "program p: p+0: map 2 of 2",
		},
		{
			name:  "value of a hash",
			insns: []Insn{{Op: 0x18, Src: 2, Imm: 1}, {}, {Op: 0x95}},
			err:   "program p: p+0: address in the value of map hash, which is no array of one entry",
		},
		{
			name:  "past the value",
			insns: []Insn{{Op: 0x18, Src: 2, Imm: 0}, {Imm: 16}, {Op: 0x95}},
			err:   "program p: p+0: address of byte 16 of map data, whose value has 16",
		},
		{
			name:  "second slot of a map reference",
			insns: []Insn{{Op: 0x18, Src: 1}, {Imm: 1}, {Op: 0x95}},
			err:   "program p: p+0: lddw: second imm is 1, must be 0",
		},
		{
			name:  "half a wide instruction",
			insns: []Insn{{Op: 0x95}, {Op: 0x18}},
			err:   "program p: p+1: lddw: the second slot is missing",
		},
		{
			name:  "jump out",
			insns: []Insn{{Op: 0x05, Off: 1}, {Op: 0x95}},
			err:   "program p: p+0: goto pc+1: jump to slot 2, outside the function's 0 to 1",
		},
		{
			name:  "jump before",
			insns: []Insn{{Op: 0x05, Off: -2}, {Op: 0x95}},
			err:   "program p: p+0: goto pc-2: jump to slot -1, outside the function's 0 to 1",
		},
		{
			name:  "long jump out",
			insns: []Insn{{Op: 0x06, Imm: 0x7fffffff}, {Op: 0x95}},
			err:   "program p: p+0: gotol pc+2147483647: jump to slot 2147483648, outside the function's 0 to 1",
		},
		{
			name:  "jump into a second slot",
			insns: []Insn{{Op: 0x05, Off: 1}, {Op: 0x18}, {}, {Op: 0x95}},
			err:   "program p: p+0: goto pc+1: jump to slot 2, the second slot of a wide instruction",
		},
		{
			name:  "jump into another function",
			insns: []Insn{{Op: 0x85, Src: 1, Imm: 2}, {Op: 0x05, Off: 1}, {Op: 0x95}, {Op: 0x95}},
			err:   "program p: p+1: goto pc+1: jump to slot 3, outside the function's 0 to 2",
		},
		{
			name:  "fall into another function",
			insns: []Insn{{Op: 0x85, Src: 1, Imm: 1}, {Op: 0xb7}, {Op: 0x95}},
			err:   "program p: p+1: r0 = 0: the function falls off its end: its last instruction is neither exit nor goto",
		},
		{
			name:  "call out",
			insns: []Insn{{Op: 0x85, Src: 1, Imm: 1}, {Op: 0x95}},
			err:   "program p: p+0: call pc+1: subprogram at slot 2, outside the program's 0 to 1",
		},
		{
			name:  "call into a second slot",
			insns: []Insn{{Op: 0x85, Src: 1, Imm: 1}, {Op: 0x18}, {}, {Op: 0x95}},
			err:   "program p: p+1: lddw: the second slot is missing",
		},
		{
			name:  "kfunc by number",
			insns: []Insn{{Op: 0x85, Src: 2, Imm: 77}, {Op: 0x95}},
			err:   "program p: p+0: call kfunc[+0]#77: call of kfunc 77: functions of the host are called by name here",
		},
		{
			name:  "arena",
			insns: []Insn{{Op: 0xbf, Dst: 1, Src: 2, Off: 1, Imm: 1}, {Op: 0x95}},
			err:   "program p: p+0: r1 = addr_space_cast(r2, 0, 1): addr_space_cast converts arena pointers, and arenas are not supported",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := FromInsns("p", nil, tc.insns, []*maps.Spec{data, hash})
			if tc.err != "" {
				var e *Error
				if !errors.As(err, &e) || err.Error() != tc.err {
					t.Fatalf("got %v, want %s", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, p.Insns); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(tc.funcs, p.Funcs); d != "" {
				t.Error(d)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{0x95, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0x18, 0x51, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0x85, 0x10, 0, 0, 1, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		insns, err := Decode(raw)
		if err != nil {
			if len(raw)%InsnSize == 0 {
				t.Errorf("refused: %v", err)
			}
			return
		}
		if d := cmp.Diff(raw, Encode(insns)); d != "" {
			t.Errorf("encoding differs: %s", d)
		}
		p, err := FromInsns("p", nil, insns, nil)
		if err != nil {
			return
		}
		for _, fn := range p.Funcs {
			if err := Check(p.Insns[fn.Entry:fn.End]); err != nil {
				t.Errorf("linked, yet %v", err)
			}
		}
	})
}

// BenchmarkFromInsns links a program of a thousand slots in ten functions.
func BenchmarkFromInsns(b *testing.B) {
	var insns []Insn
	for f := range 10 {
		for range 98 {
			insns = append(insns, Insn{Op: 0xbf, Dst: 1, Src: 2})
		}
		if f < 9 {
			insns = append(insns, Insn{Op: 0x85, Src: 1, Imm: 1})
		}
		insns = append(insns, Insn{Op: 0x95})
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := FromInsns("p", nil, insns, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(insns)), "ns/slot")
}

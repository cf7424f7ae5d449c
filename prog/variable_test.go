package prog

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/maps"
)

func TestVariableSet(t *testing.T) {
	type pair struct {
		A uint16
		B int32
	}
	u8 := &btf.Type{Kind: btf.Const, Elem: &btf.Type{Kind: btf.Typedef, Elem: &btf.Type{Kind: btf.Int, Size: 1}}}
	s16 := &btf.Type{Kind: btf.Int, Size: 2, Signed: true}
	boolean := &btf.Type{Kind: btf.Int, Size: 1, Bool: true}
	for _, tc := range []struct {
		name string
		size uint32
		typ  *btf.Type
		x    any
		want []byte
		err  string
	}{
		{"int", 4, nil, 258, []byte{2, 1, 0, 0}, ""},
		{"negative", 4, nil, int8(-2), []byte{0xfe, 0xff, 0xff, 0xff}, ""},
		{"uint32 in no type", 4, nil, uint32(1 << 31), []byte{0, 0, 0, 0x80}, ""},
		{"largest", 8, nil, ^uint64(0), []byte{255, 255, 255, 255, 255, 255, 255, 255}, ""},
		{"too large", 2, nil, 65536, nil, "variable v: 65536 does not fit 16 bits"},
		{"too small", 1, nil, -129, nil, "variable v: -129 does not fit 8 bits"},
		{"u8 255", 1, u8, 255, []byte{255}, ""},
		{"u8 -1", 1, u8, -1, nil, "variable v: -1 does not fit 8 bits without a sign"},
		{"s16 least", 2, s16, -32768, []byte{0, 0x80}, ""},
		{"s16 32768", 2, s16, 32768, nil, "variable v: 32768 does not fit 16 bits with a sign"},
		{"bool", 1, boolean, true, []byte{1}, ""},
		{"bool 2", 1, boolean, 2, nil, "variable v: 2 is no bool"},
		{"odd size", 3, nil, 1, nil, "variable v: a number for 3 bytes"},
		{"string", 4, nil, "abc", []byte("abc\x00"), ""},
		{"string without room", 4, nil, "abcd", nil, "variable v: string of 4 bytes and a NUL in 4 bytes"},
		{"bytes", 2, nil, []byte{7, 8}, []byte{7, 8}, ""},
		{"bytes, wrong length", 2, nil, []byte{7}, nil, "variable v: []uint8 has 1 bytes, the variable 2"},
		{"array", 4, nil, [2]uint16{1, 2}, []byte{1, 0, 2, 0}, ""},
		{"struct", 6, nil, pair{1, -1}, []byte{1, 0, 255, 255, 255, 255}, ""},
		{"no size", 8, nil, map[int]int{}, nil, "variable v: values of type map[int]int have no fixed size"},
		{"nil", 8, nil, nil, nil, "variable v: values of type <nil> have no fixed size"},
		{"int for a struct", 4, &btf.Type{Kind: btf.Struct, Name: "s"}, 1, nil, "variable v: a number for a variable of type s"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := &maps.Spec{Name: ".bss", KeySize: 4, ValueSize: tc.size + 4, MaxEntries: 1}
			v := &Variable{Name: "v", Map: m, Off: 2, Size: tc.size, Type: tc.typ}
			err := v.Set(tc.x)
			if tc.err != "" {
				if err == nil || err.Error() != tc.err {
					t.Fatalf("got %v, want %s", err, tc.err)
				}
				if len(m.Contents) != 0 {
					t.Error("contents changed")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, v.Value()); d != "" {
				t.Error(d)
			}
			whole := append(append([]byte{0, 0}, tc.want...), 0, 0)
			if d := cmp.Diff([]maps.Entry{{Key: make([]byte, 4), Value: whole}}, m.Contents); d != "" {
				t.Error(d)
			}
		})
	}
}

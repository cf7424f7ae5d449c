package btf_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/skepvm/skep/btf"
)

var (
	u8    = &btf.Type{Kind: btf.Int, Name: "unsigned char", Size: 1}
	char  = &btf.Type{Kind: btf.Int, Name: "char", Size: 1, Signed: true, Char: true}
	boolT = &btf.Type{Kind: btf.Int, Name: "_Bool", Size: 1, Bool: true}
	s16   = &btf.Type{Kind: btf.Int, Name: "short", Size: 2, Signed: true}
	u32   = &btf.Type{Kind: btf.Int, Name: "unsigned int", Size: 4}
	s32   = &btf.Type{Kind: btf.Int, Name: "int", Size: 4, Signed: true}
	u64   = &btf.Type{Kind: btf.Int, Name: "unsigned long", Size: 8}
	u128  = &btf.Type{Kind: btf.Int, Name: "__int128", Size: 16}
	f64   = &btf.Type{Kind: btf.Float, Name: "double", Size: 8}
	f32   = &btf.Type{Kind: btf.Float, Name: "float", Size: 4}
	enum  = &btf.Type{Kind: btf.Enum, Name: "e", Size: 4, Signed: true, Values: []btf.EnumValue{
		{Name: "MINUS", Value: math.MaxUint64}, {Name: "TWO", Value: 2},
	}}
	ptr  = &btf.Type{Kind: btf.Ptr, Size: 8}
	name = &btf.Type{Kind: btf.Array, Elem: char, Len: 6, Size: 6}
	bits = &btf.Type{Kind: btf.Struct, Name: "bits", Size: 4, Members: []btf.Member{
		{Name: "low", Type: u32, Offset: 0, Bits: 3},
		{Name: "", Type: u32, Offset: 3, Bits: 2},
		{Name: "mid", Type: s32, Offset: 5, Bits: 11},
		{Name: "two", Type: enum, Offset: 16, Bits: 3},
	}}
	nested = &btf.Type{Kind: btf.Struct, Name: "n", Size: 12, Members: []btf.Member{
		{Name: "a", Type: &btf.Type{Kind: btf.Typedef, Name: "u16x", Elem: &btf.Type{Kind: btf.Const, Elem: s16}}},
		{Type: &btf.Type{Kind: btf.Union, Size: 4, Members: []btf.Member{
			{Name: "b", Type: u32}, {Name: "c", Type: &btf.Type{Kind: btf.Array, Elem: u8, Len: 4, Size: 4}},
		}}, Offset: 32},
		{Name: "d", Type: bits, Offset: 64},
	}}
)

func TestPrint(t *testing.T) {
	for _, tc := range []struct {
		name string
		typ  *btf.Type
		data string
		json string
		c    string
	}{
		{"no type", nil, "\x01\xff", `"01ff"`, `01ff`},
		{"unsigned", u32, "\xff\xff\xff\xff", `4294967295`, `4294967295`},
		{"signed", s32, "\xff\xff\xff\xff", `-1`, `-1`},
		{"largest", u64, "\xff\xff\xff\xff\xff\xff\xff\xff", `18446744073709551615`, `18446744073709551615`},
		{"128 bits", u128, "\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80", `"0x80000000000000000000000000000001"`, `0x80000000000000000000000000000001`},
		{"bool", boolT, "\x01", `true`, `true`},
		{"no bool", boolT, "\x07", `7`, `7`},
		{"char", char, "A", `65`, `65`},
		{"double", f64, "\x00\x00\x00\x00\x00\x00\xf8\x3f", `1.5`, `1.5`},
		{"float", f32, "\xcd\xcc\xcc\x3d", `0.1`, `0.1`},
		{"infinity", f32, "\x00\x00\x80\x7f", `"+Inf"`, `+Inf`},
		{"enum", enum, "\xff\xff\xff\xff", `"MINUS"`, `MINUS`},
		{"no enum", enum, "\x03\x00\x00\x00", `3`, `3`},
		{"pointer", ptr, "\xef\xbe\x00\x00\x00\x00\x00\x00", `"0xbeef"`, `0xbeef`},
		{"text", name, "a\"b\n\x00\x00", `"a\"b\n"`, `"a\"b\n"`},
		{"full text", name, "abcdef", `"abcdef"`, `"abcdef"`},
		{"not padded", name, "ab\x00c\x00\x00", `[97,98,0,99,0,0]`, `{97, 98, 0, 99, 0, 0}`},
		{"not text", name, "a\xff\x00\x00\x00\x00", `[97,-1,0,0,0,0]`, `{97, -1, 0, 0, 0, 0}`},
		// low = 5, mid = −2 (11 bits: 0x7fe), two = 2.
		{"bit-fields", bits, "\xc5\xff\x02\x00", `{"low":5,"mid":-2,"two":"TWO"}`, `{.low = 5, .mid = -2, .two = TWO}`},
		{"nested", nested, "\xfe\xff\x00\x00\x01\x02\x00\x00\x01\x00\x00\x00",
			`{"a":-2,"b":513,"c":[1,2,0,0],"d":{"low":1,"mid":0,"two":0}}`,
			`{.a = -2, .b = 513, .c = {1, 2, 0, 0}, .d = {.low = 1, .mid = 0, .two = 0}}`},
		{"too short", u32, "\x01", `null`, `/* missing */`},
		{"empty elements", &btf.Type{Kind: btf.Array, Elem: &btf.Type{Kind: btf.Struct}, Len: 1 << 31}, "", `[]`, `{}`},
		{"void", &btf.Type{Kind: btf.Void}, "", `null`, `/* missing */`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := string(tc.typ.AppendJSON(nil, []byte(tc.data)))
			if got != tc.json {
				t.Errorf("JSON %s, want %s", got, tc.json)
			}
			if !json.Valid([]byte(got)) {
				t.Errorf("%s is not JSON", got)
			}
			if got := string(tc.typ.AppendC(nil, []byte(tc.data))); got != tc.c {
				t.Errorf("C %s, want %s", got, tc.c)
			}
		})
	}
}

// TestPrintCycle checks that types that contain themselves, which no C
// compiler makes, end.
func TestPrintCycle(t *testing.T) {
	s := &btf.Type{Kind: btf.Struct, Name: "s", Size: 8}
	s.Members = []btf.Member{{Name: "s", Type: s}}
	s.AppendJSON(nil, make([]byte, 8))
	a := &btf.Type{Kind: btf.Struct, Size: 8}
	a.Members = []btf.Member{{Type: a}}
	a.AppendC(nil, make([]byte, 8))
	v := &btf.Type{Kind: btf.Array, Len: 1}
	v.Elem = v
	if n := v.SizeOf(); n != 0 {
		t.Errorf("size %d of an array of itself", n)
	}
}

func TestSizeOf(t *testing.T) {
	if n := (&btf.Type{Kind: btf.Const, Elem: &btf.Type{Kind: btf.Array, Len: 3, Elem: ptr}}).SizeOf(); n != 24 {
		t.Errorf("const void *[3]: %d bytes", n)
	}
}

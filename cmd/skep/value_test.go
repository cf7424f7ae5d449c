package main

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/skepvm/skep/btf"
)

var (
	u8      = &btf.Type{Kind: btf.Int, Name: "unsigned char", Size: 1, Char: true}
	u16     = &btf.Type{Kind: btf.Int, Name: "unsigned short", Size: 2}
	boolean = &btf.Type{Kind: btf.Int, Name: "_Bool", Size: 1, Bool: true}
	s32     = &btf.Type{Kind: btf.Int, Name: "int", Size: 4, Signed: true}
	u64     = &btf.Type{Kind: btf.Typedef, Name: "__u64", Elem: &btf.Type{Kind: btf.Int, Name: "unsigned long long", Size: 8}}
	colour  = &btf.Type{Kind: btf.Enum, Name: "colour", Size: 4, Values: []btf.EnumValue{{Name: "RED"}, {Name: "BLUE", Value: 7}}}
	// struct rule { unsigned short port; enum colour c; char name[6]; union { __u64 all; __u32 lo; }; int a:3, b:5; };
	rule = &btf.Type{Kind: btf.Struct, Name: "rule", Size: 32, Members: []btf.Member{
		{Name: "port", Type: u16},
		{Name: "c", Type: colour, Offset: 32},
		{Name: "name", Type: &btf.Type{Kind: btf.Array, Elem: u8, Len: 6}, Offset: 64},
		{Type: &btf.Type{Kind: btf.Union, Size: 8, Members: []btf.Member{
			{Name: "all", Type: u64}, {Name: "lo", Type: s32},
		}}, Offset: 128},
		{Name: "a", Type: s32, Offset: 192, Bits: 3},
		{Name: "b", Type: s32, Offset: 195, Bits: 5},
	}}
)

func TestEncodeValue(t *testing.T) {
	for _, tc := range []struct {
		name string
		size int
		typ  *btf.Type
		json string
		want string // hex
		err  string
	}{
		{name: "number", size: 4, typ: s32, json: `258`, want: "02010000"},
		{name: "negative", size: 4, typ: s32, json: `-2`, want: "feffffff"},
		{name: "largest unsigned", size: 8, typ: u64, json: `18446744073709551615`, want: "ffffffffffffffff"},
		{name: "smallest signed", size: 1, typ: u8, json: `-128`, want: "80"},
		{name: "hex number", size: 4, typ: s32, json: `"0x01020304"`, want: "04030201"},
		{name: "short hex number", size: 4, typ: s32, json: `"0x10"`, want: "10000000"},
		{name: "hex string is bytes", size: 6, typ: rule.Members[2].Type, json: `"0x010203040506"`, want: "010203040506"},
		{name: "hex: is bytes of a number, too", size: 4, typ: s32, json: `"hex:01020304"`, want: "01020304"},
		{name: "negative bit-field", size: 32, typ: rule, json: `{"a":-1,"b":-16}`, want: strings.Repeat("00", 24) + "8700000000000000"},
		{name: "bit-field too negative", size: 32, typ: rule, json: `{"a":-5}`, err: "-5 does not fit a bit-field of 3 bits"},
		{name: "hex: is bytes", size: 3, typ: nil, json: `"hex:0a 0b:0c"`, want: "0a0b0c"},
		{name: "decimal string", size: 8, typ: u64, json: `"258"`, want: "0201000000000000"},
		{name: "bool", size: 1, typ: u8, json: `true`, want: "01"},
		{name: "bool of its own", size: 1, typ: boolean, json: `true`, want: "01"},
		{name: "bool as a number", size: 1, typ: boolean, json: `0`, want: "00"},
		{name: "bool as text", size: 1, typ: boolean, json: `"false"`, want: "00"},
		{name: "no bool", size: 1, typ: boolean, json: `"maybe"`, err: `"maybe" is no bool: true, false, 1 or 0`},
		{name: "no bool, a number", size: 1, typ: boolean, json: `2`, err: `2 is no bool: true, false, 1 or 0`},
		{name: "no type", size: 2, typ: nil, json: `513`, want: "0102"},
		{name: "enum constant", size: 4, typ: colour, json: `"BLUE"`, want: "07000000"},
		{name: "text", size: 6, typ: rule.Members[2].Type, json: `"skep"`, want: "736b65700000"},
		{name: "list", size: 6, typ: rule.Members[2].Type, json: `[1,2]`, want: "010200000000"},
		{
			name: "struct", size: 32, typ: rule, json: `{"port":80,"c":"BLUE","name":"x","lo":1,"a":5,"b":17}`,
			want: "5000000007000000" + "7800000000000000" + "0100000000000000" + "8d00000000000000",
		},
		{name: "does not fit", size: 1, typ: u8, json: `256`, err: "256 does not fit 1 bytes"},
		{name: "too negative", size: 1, typ: u8, json: `-129`, err: "-129 does not fit 1 bytes"},
		{name: "fraction", size: 4, typ: s32, json: `1.5`, err: `"1.5" is no integer`},
		{name: "wrong length", size: 4, typ: s32, json: `"hex:01"`, err: "has 1 bytes; 4 are needed"},
		{name: "odd digits", size: 4, typ: s32, json: `"hex:123"`, err: "no sequence of hexadecimal bytes"},
		{name: "unknown field", size: 32, typ: rule, json: `{"prot":1}`, err: `struct rule has no field "prot"`},
		{name: "place of the fault", size: 32, typ: rule, json: `{"name":[1,999]}`, err: ".name: [1]: 999 does not fit 1 bytes"},
		{name: "bit-field overflow", size: 32, typ: rule, json: `{"a":8}`, err: "8 does not fit a bit-field of 3 bits"},
		{name: "too many elements", size: 6, typ: rule.Members[2].Type, json: `[1,2,3,4,5,6,7]`, err: "7 elements for a unsigned char[6]"},
		{name: "text too long", size: 6, typ: rule.Members[2].Type, json: `"sevenal"`, err: "has 7 bytes; the array has 6"},
		{name: "struct from number", size: 32, typ: rule, json: `3`, err: "3 is no object"},
		{name: "value smaller than its type", size: 8, typ: rule, json: `{"all":1}`, err: "lie outside the 8 bytes"},
		{name: "bits beyond the value", size: 8, typ: rule, json: `{"b":1}`, err: "outside the 8 bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := json.NewDecoder(strings.NewReader(tc.json))
			d.UseNumber()
			var v any
			if err := d.Decode(&v); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, tc.size)
			err := encodeValue(got, tc.typ, v)
			switch {
			case tc.err != "":
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("got error %v, want %q", err, tc.err)
				}
			case err != nil:
				t.Error(err)
			case hex.EncodeToString(got) != tc.want:
				t.Errorf("got %x, want %s", got, tc.want)
			}
		})
	}
}

func TestDecodeJSONOneValue(t *testing.T) {
	for _, text := range []string{`1 2`, `[1]]`, `{}}`, `5}`, `"a" x`} {
		if v, err := decodeJSON([]byte(text)); err == nil {
			t.Errorf("%s: read as %v", text, v)
		}
	}
	if _, err := decodeJSON([]byte(" [1] \n")); err != nil {
		t.Error(err)
	}
}

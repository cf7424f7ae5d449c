package hook_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
)

func TestCtxCheck(t *testing.T) {
	good := func() hook.Ctx {
		return hook.NewCtx("c", 24,
			hook.Field{Name: "data", Off: 0, Size: 4, Kind: hook.FieldPacket, Read: 4},
			hook.Field{Name: "data_end", Off: 4, Size: 4, Kind: hook.FieldPacketEnd, Read: 4},
			hook.Field{Name: "n", Off: 8, Size: 2, Read: 3},
			hook.Field{Name: "bytes", Off: 12, Size: 12, Kind: hook.FieldBytes, Read: 15})
	}
	c := good()
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		change func(*hook.Ctx)
		want   string
	}{
		{"outside", func(c *hook.Ctx) { c.Size = 20 }, `field "bytes": bytes 12 to 24 lie outside`},
		{"overlap", func(c *hook.Ctx) { c.Fields[2].Off = 6 }, "overlaps"},
		{"host overlap", func(c *hook.Ctx) { c.Fields[1].HostOff = 0 }, `overlaps`},
		{"outside the host", func(c *hook.Ctx) { c.HostSize = 8 }, "outside the host's"},
		{"unaligned", func(c *hook.Ctx) { c.Fields[2].Off = 9 }, "aligned"},
		{"size 3", func(c *hook.Ctx) { c.Fields[2].Size, c.Fields[2].HostSize = 3, 3 }, "1, 2, 4 or 8"},
		{"size 0", func(c *hook.Ctx) { c.Fields[2].Size = 0 }, "lie outside"},
		{"wide access", func(c *hook.Ctx) { c.Fields[2].Read = 4 }, "exceed its 2 bytes"},
		{"writable pointer", func(c *hook.Ctx) { c.Fields[0].Write = 4 }, "may not write a pointer"},
		{"narrow pointer", func(c *hook.Ctx) { c.Fields[0].Read = 7 }, "read whole"},
		{"no name", func(c *hook.Ctx) { c.Fields[0].Name = "" }, "no name"},
		{"same name", func(c *hook.Ctx) { c.Fields[0].Name = "n" }, "two fields"},
		{"kind", func(c *hook.Ctx) { c.Fields[2].Kind = 99 }, "unknown kind"},
		{"object", func(c *hook.Ctx) { c.Fields[2].Object = "sock" }, "are for objects"},
		{"huge", func(c *hook.Ctx) { c.Size = 1 << 20 }, "is the most"},
		{"huge offset", func(c *hook.Ctx) { c.Fields[3].Off = 0xfffffff8 }, "lie outside"},
		{"bytes misaligned", func(c *hook.Ctx) { c.Fields[3].HostOff++ }, "not as aligned"},
	} {
		c := good()
		tc.change(&c)
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}

func TestCtxSet(t *testing.T) {
	c := hook.NewCtx("c", 16,
		hook.Field{Name: "p", Off: 0, Size: 4, Kind: hook.FieldPacket, Read: 4},
		hook.Field{Name: "a", Off: 4, Size: 2, Read: 3},
		hook.Field{Name: "b", Off: 8, Size: 8, Read: 15})
	host := make([]byte, c.HostSize)
	for _, tc := range []struct {
		name string
		v    uint64
		want string
	}{
		{"a", 0xffff, ""}, {"a", 0x10000, "does not fit"}, {"a", ^uint64(0), ""}, {"b", ^uint64(0), ""},
		{"a", 1<<63 + 5, "does not fit"}, {"p", 1, "not a number"}, {"z", 1, `no field "z"`},
	} {
		err := c.Set(host, tc.name, tc.v)
		if tc.want == "" {
			if got, ok := c.Get(host, tc.name); err != nil || !ok || got != tc.v&(1<<(8*c.Field(tc.name).Size-1)<<1-1) {
				t.Errorf("%s = %#x: %v, reads %#x", tc.name, tc.v, err, got)
			}
		} else if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s = %#x: %v, want %q", tc.name, tc.v, err, tc.want)
		}
	}
	if err := c.Set(host[:9], "b", 1); err == nil {
		t.Error("a store past the end passes")
	}
}

type bare struct{ hook.Platform }

func (bare) Types() []*hook.Type                      { return nil }
func (bare) Type(string) *hook.Type                   { return nil }
func (bare) Section(string) (s hook.Section, ok bool) { return s, false }

// TestTypeInitial: a context begins with no more bytes than it has, and no pointers.
func TestTypeInitial(t *testing.T) {
	ctx := hook.NewCtx("ctx", 16,
		hook.Field{Name: "n", Off: 0, Size: 4, Read: 4},
		hook.Field{Name: "data", Off: 4, Size: 4, Kind: hook.FieldPacket, Read: 4},
		hook.Field{Name: "data_end", Off: 8, Size: 4, Kind: hook.FieldPacketEnd, Read: 4})
	at := func(name string) []byte {
		b := make([]byte, ctx.HostSize)
		b[ctx.Field(name).HostOff] = 1
		return b
	}
	for _, tc := range []struct {
		name    string
		initial []byte
		want    string // in the error; empty: there is none
	}{
		{"none", nil, ""},
		{"a number", at("n"), ""},
		{"a pointer", at("data_end"), "pointer in data_end"},
		{"too long", make([]byte, ctx.HostSize+1), "bytes to begin with"},
	} {
		typ := &hook.Type{Name: "t", Ctx: ctx, Initial: tc.initial}
		err := typ.Check()
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	typ := &hook.Type{Ctx: ctx, Initial: at("n"), Prepare: func(b []byte, _ *helpers.Packet) { b[ctx.Field("n").HostOff]++ }}
	b := make([]byte, ctx.HostSize)
	if typ.Fill(b, nil); b[ctx.Field("n").HostOff] != 2 {
		t.Errorf("the context begins %x", b)
	}
}

func TestExtend(t *testing.T) {
	one := hook.MustDefine[peer]("one")
	two := hook.MustDefine[peer]("two", hook.Sections("second", "deux"))
	p, err := hook.Extend(bare{}, one.Type, two.Type)
	if err != nil {
		t.Fatal(err)
	}
	if p.Type("two") != two.Type || p.Type("three") != nil || len(p.Types()) != 2 {
		t.Errorf("types %v", p.Types())
	}
	for name, want := range map[string]*hook.Type{"one": one.Type, "one/x": one.Type, "two": nil, "second": two.Type, "deux/y": two.Type, "oneself": nil} {
		s, ok := p.Section(name)
		if s.Type != want || ok != (want != nil) {
			t.Errorf("section %q means %v", name, s.Type)
		}
	}
	if _, err := hook.Extend(bare{}, one.Type, one.Type); err == nil {
		t.Error("one type twice passes")
	}
}

// FuzzTag checks that every tag is either refused or makes a type that is
// whole.
func FuzzTag(f *testing.F) {
	for _, s := range []string{"", "-", "rw", "name", "name,rw", "rw,rw", "a,b", "int", "1a", ",rw", "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, tag string) {
		if strings.ContainsAny(tag, "`\"\\\n") || !isPrintable(tag) {
			return // not what a Go struct tag can hold unquoted
		}
		st := reflect.StructOf([]reflect.StructField{
			{Name: "A", Type: reflect.TypeFor[uint32](), Tag: reflect.StructTag(`bpf:"` + tag + `"`)},
			{Name: "B", Type: reflect.TypeFor[hook.Bytes]()},
		})
		typ, err := hook.DefineStruct("h", st)
		if err != nil {
			return
		}
		if err := typ.Check(); err != nil {
			t.Fatalf("tag %q makes %v", tag, err)
		}
	})
}

func isPrintable(s string) bool {
	for _, r := range s {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return false
		}
	}
	return true
}

package hook_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
)

type peer struct {
	Port uint16
	Addr [16]uint8
}

type common struct {
	Serial uint64
}

type request struct {
	Method  uint8
	Body    hook.Bytes
	Status  uint32 `bpf:"rw"`
	TLS     bool
	Allow   bool `bpf:"allow_it,rw"`
	common2 int  `bpf:"-"`
	Peer    peer
	Other   peer `bpf:"rw"`
	common
	Score [3]int16
	Delta int64
}

func define(t *testing.T) *hook.TypeOf[request] {
	t.Helper()
	h := helpers.Base().With(map[helpers.ID]*helpers.Func{
		1000: helpers.New2("log_it", func(helpers.Env, []byte, uint32) int64 { return 0 }),
	}, nil)
	typ, err := hook.Define[request]("http_request", hook.Returns(0, 2), hook.Helpers(h),
		hook.Verdicts(map[int64]string{0: "HTTP_DENY", 1: "HTTP_ALLOW", 2: "HTTP_LOG"}), hook.Sections("http"))
	require.NoError(t, err)
	return typ
}

// TestDefineLayout checks offsets against clang's for the header that
// WriteHeader writes, so the C compiler says where each member is.
func TestDefineLayout(t *testing.T) {
	clang, err := exec.LookPath("clang-19")
	if err != nil {
		if clang, err = exec.LookPath("clang"); err != nil {
			t.Skip("no clang in PATH")
		}
	}
	typ := define(t)
	dir := t.TempDir()
	var hdr bytes.Buffer
	require.NoError(t, typ.WriteHeader(&hdr))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ctx.h"), hdr.Bytes(), 0o666))
	var c strings.Builder
	c.WriteString("#include \"ctx.h\"\n")
	for _, f := range typ.Ctx.Fields {
		c.WriteString("_Static_assert(__builtin_offsetof(struct http_request, " + f.Name + ") == " + itoa(f.Off) + ", \"" + f.Name + "\");\n")
		c.WriteString("_Static_assert(sizeof(((struct http_request *)0)->" + f.Name + ") == " + itoa(f.Size) + ", \"size of " + f.Name + "\");\n")
	}
	c.WriteString(`
SEC("http") int handler(struct http_request *ctx)
{
	unsigned char *p = ctx->data;
	if (p + 1 > (unsigned char *)ctx->data_end)
		return HTTP_DENY;
	ctx->status = bpf_get_prandom_u32();
	log_it(p, 1, ctx->peer.port);
	return HTTP_ALLOW;
}
`)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "prog.c"), []byte(c.String()), 0o666))
	out, err := exec.Command(clang, "-target", "bpf", "-O2", "-Wall", "-Werror", "-c", "-o", filepath.Join(dir, "prog.o"), filepath.Join(dir, "prog.c")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, hdr.String())
	}
}

// TestHeaderResults compares the results that headers declare with those that
// libbpf's header of helpers declares.
func TestHeaderResults(t *testing.T) {
	const libbpf = "/usr/include/bpf/bpf_helper_defs.h"
	defs, err := os.ReadFile(libbpf)
	if err != nil {
		t.Skip("no " + libbpf)
	}
	typ, err := hook.Define[struct{ X uint32 }]("all", hook.Helpers(helpers.Base()))
	require.NoError(t, err)
	var hdr bytes.Buffer
	require.NoError(t, typ.WriteHeader(&hdr))
	theirs := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^static (.*?) ?\(\*(bpf_\w+)\)`).FindAllStringSubmatch(string(defs), -1) {
		theirs[m[2]] = m[1]
	}
	n := 0
	for _, m := range regexp.MustCompile(`(?m)^static (.*?) ?\(\* const (bpf_\w+)\)`).FindAllStringSubmatch(hdr.String(), -1) {
		want, ok := theirs[m[2]]
		if !ok || m[1] == "void" {
			continue // newer than the header, or without a result that means something
		}
		if n++; m[1] != want {
			t.Errorf("%s returns %s, in libbpf %s", m[2], m[1], want)
		}
	}
	if n < 30 {
		t.Errorf("%d helpers compared", n)
	}
}

func itoa(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// TestDefineCopies checks that each field reaches the context and that only
// writable ones come back, and that neither allocates.
func TestDefineCopies(t *testing.T) {
	typ := define(t)
	in := request{
		Method: 7, Body: hook.Bytes("body"), Status: 200, TLS: true, common2: 5,
		Peer:   peer{Port: 443, Addr: [16]uint8{1, 15: 2}},
		Other:  peer{Port: 80},
		common: common{Serial: 1 << 40}, Score: [3]int16{-1, 2, -3}, Delta: -9,
	}
	ctx := make([]byte, typ.Ctx.HostSize)
	typ.Encode(ctx, &in)
	for name, want := range map[string]uint64{
		"method": 7, "status": 200, "tls": 1, "allow_it": 0, "peer.port": 443, "other.port": 80, "serial": 1 << 40, "delta": ^uint64(8),
	} {
		if got, ok := typ.Ctx.Get(ctx, name); !ok || got != want {
			t.Errorf("%s = %d, %v; want %d", name, got, ok, want)
		}
	}
	score := typ.Ctx.Field("score")
	if got := ctx[score.HostOff : score.HostOff+score.HostSize]; binary.NativeEndian.Uint16(got[4:]) != 0xfffd {
		t.Errorf("score = %x", got)
	}
	if got := typ.Packet(&in); &got[0] != &in.Body[0] {
		t.Errorf("Packet does not alias Body")
	}

	for i := range ctx {
		ctx[i] = 0xff
	}
	out := in
	typ.Decode(ctx, &out)
	want := in
	want.Status = 0xffffffff
	want.Allow = true
	want.Other.Port = 0xffff
	for i := range want.Other.Addr {
		want.Other.Addr[i] = 0xff
	}
	if d := cmp.Diff(want, out, cmpopts.EquateComparable(), cmp.AllowUnexported(request{}, common{})); d != "" {
		t.Errorf("after Decode (-want +got):\n%s", d)
	}

	if n := testing.AllocsPerRun(100, func() {
		v := request{Body: in.Body, Status: 3}
		typ.Encode(ctx, &v)
		typ.Decode(ctx, &v)
		if len(typ.Packet(&v)) != 4 {
			t.Fatal("packet lost")
		}
	}); n != 0 {
		t.Errorf("%v allocations per run", n)
	}
}

func TestDefineRefuses(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  error
		want string
	}{
		{"int", second(hook.Define[struct{ N int }]("h")), "field N: int: its size depends on the host"},
		{"string", second(hook.Define[struct{ S string }]("h")), "field S: string"},
		{"pointer", second(hook.Define[struct{ P *uint32 }]("h")), "field P: *uint32"},
		{"slice", second(hook.Define[struct{ B []byte }]("h")), "field B: []uint8: use hook.Bytes"},
		{"float", second(hook.Define[struct{ F float64 }]("h")), "field F: float64"},
		{"inner", second(hook.Define[struct{ In struct{ M map[int]int } }]("h")), "field In: field M: map[int]int"},
		{"array of structs", second(hook.Define[struct{ A [2]peer }]("h")), "field A"},
		{"empty array", second(hook.Define[struct{ A [0]uint8 }]("h")), "field A"},
		{"unexported", second(hook.Define[struct{ a uint32 }]("h")), "field a: unexported"},
		{"bad option", second(hook.Define[struct {
			A uint32 `bpf:"a,ro"`
		}]("h")), `field A: tag "a,ro": unknown option "ro"`},
		{"bad name", second(hook.Define[struct {
			A uint32 `bpf:"a-b"`
		}]("h")), "not a C identifier"},
		{"keyword", second(hook.Define[struct{ Int uint32 }]("h")), `member "int": not a C identifier`},
		{"twice", second(hook.Define[struct {
			A uint32
			B uint32 `bpf:"a"`
		}]("h")), "member a: twice"},
		{"two packets", second(hook.Define[struct {
			A hook.Bytes `bpf:"x"`
			B hook.Bytes
		}]("h")), "one packet at most"},
		{"packet inside", second(hook.Define[struct{ In struct{ B hook.Bytes } }]("h")), "field In"},
		{"nothing", second(hook.Define[struct{}]("h")), "no field"},
		{"no struct", second(hook.Define[uint32]("h")), "not a struct"},
		{"type name", second(hook.Define[peer]("no name")), "not a C identifier"},
		{"too big", second(hook.Define[struct{ A, B [20000]uint8 }]("h")), "ends at byte 40000"},
		{"range", second(hook.Define[peer]("h", hook.Returns(2, 1))), "return range [2, 1]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.err == nil || !strings.Contains(tc.err.Error(), tc.want) {
				t.Errorf("error %v, want %q", tc.err, tc.want)
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }

// TestDescription checks that a description makes the same type.
func TestDescription(t *testing.T) {
	typ := define(t)
	text, err := typ.Describe()
	require.NoError(t, err)
	got, err := hook.ParseDescription(text)
	require.NoError(t, err)
	opts := cmp.Options{
		cmpopts.IgnoreFields(hook.Type{}, "Helpers", "Prepare", "NewState", "Input"),
	}
	if d := cmp.Diff(typ.Type, got, opts); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if got.Input != hook.InputPacket {
		t.Errorf("input %d, want a packet", got.Input)
	}
	if d := cmp.Diff(typ.Helpers.IDs(), got.Helpers.IDs()); d != "" {
		t.Errorf("helpers (-want +got):\n%s", d)
	}
	for _, id := range got.Helpers.IDs() {
		if d := cmp.Diff(typ.Helpers.Helper(id).Proto, got.Helpers.Helper(id).Proto); d != "" {
			t.Errorf("helper %d (-want +got):\n%s", id, d)
		}
	}
	if f := got.Helpers.Helper(1000); f.Impl != nil {
		t.Errorf("a helper of the host's has an implementation")
	}
	if f := got.Helpers.Helper(1); f.Impl == nil {
		t.Errorf("map_lookup_elem has none")
	}
}

// FuzzParseDescription checks that what is accepted is whole: it describes
// itself again, to a type that is equal.
func FuzzParseDescription(f *testing.F) {
	typ, err := hook.Define[request]("r", hook.Returns(-1, 1))
	if err != nil {
		f.Fatal(err)
	}
	text, err := typ.Describe()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"name":"a","size":8,"fields":[{"name":"x","offset":0,"type":"u8[3]"},{"name":"y","offset":4,"type":"bool"}]}`))
	f.Add([]byte(`{"name":"a","size":24,"fields":[{"name":"x","offset":0,"type":"struct","fields":[{"name":"y","offset":0,"type":"s64"}]},{"name":"d","offset":8,"type":"packet"}],"packet_write":true}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := hook.ParseDescription(b)
		if err != nil {
			return
		}
		if err := a.Check(); err != nil {
			t.Fatalf("accepted, yet %v", err)
		}
		again, err := a.Describe()
		if err != nil {
			t.Fatal(err)
		}
		b2, err := hook.ParseDescription(again)
		if err != nil {
			t.Fatalf("%v\n%s", err, again)
		}
		if d := cmp.Diff(a.Ctx, b2.Ctx); d != "" {
			t.Fatal(d)
		}
		var hdr bytes.Buffer
		if err := a.WriteHeader(&hdr); err != nil {
			t.Fatal(err)
		}
	})
}

package vm_test

import (
	"strings"
	"testing"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// packetType is a type whose context is a packet and two numbers, with every
// base helper.
var packetType = &hook.Type{
	Name: "test_packet", Input: hook.InputPacket, PacketWrite: true, LegacyPacket: true,
	Return: hook.AnyReturn, Helpers: helpers.Base(),
	Ctx: hook.NewCtx("test_ctx", 24,
		hook.Field{Name: "data", Off: 0, Size: 4, Kind: hook.FieldPacket, Read: 4},
		hook.Field{Name: "data_end", Off: 4, Size: 4, Kind: hook.FieldPacketEnd, Read: 4},
		hook.Field{Name: "data_meta", Off: 8, Size: 4, Kind: hook.FieldPacketMeta, Read: 4},
		hook.Field{Name: "ro", Off: 12, Size: 4, Read: 1 | 2 | 4},
		hook.Field{Name: "rw", Off: 16, Size: 4, Read: 1 | 2 | 4, Write: 1 | 2 | 4},
	),
}

func assemble(t testing.TB, text string) []prog.Insn {
	t.Helper()
	insns, err := prog.Assemble(text)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return insns
}

// load returns a collection with the program text, called p, of type typ.
func load(t testing.TB, typ *hook.Type, text string, o vm.Options, ms ...*maps.Spec) *vm.Collection {
	t.Helper()
	p, err := prog.FromInsns("p", typ, assemble(t, text), ms)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	c, err := vm.LoadProgram(p, o)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// unproven are the options of programs that need no proof: each access is
// checked.
var unproven = vm.Options{Engine: vm.Checked}

// lines joins the lines of a program.
func lines(l ...string) string { return strings.Join(l, "\n") }

// vmLoad is load of a program that may be refused.
func vmLoad(t testing.TB, typ *hook.Type, text string, o vm.Options, ms ...*maps.Spec) (*vm.Collection, error) {
	t.Helper()
	p, err := prog.FromInsns("p", typ, assemble(t, text), ms)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return vm.LoadProgram(p, o)
}

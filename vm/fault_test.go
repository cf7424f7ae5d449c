package vm_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

var counters = &maps.Spec{Name: "counters", Type: maps.Array, KeySize: 4, ValueSize: 12, MaxEntries: 4}

// TestFaults runs programs that do something wrong. Each must end at the PC
// given, for the reason given, with the packet's neighbours untouched.
func TestFaults(t *testing.T) {
	lookup := lines(
		"*(u32 *)(r10 -4) = 1",
		"r2 = r10",
		"r2 += -4",
		"r1 = map[0]",
		"call 1", // slots 0, 1, 2, 3-4, 5
	)
	for _, tc := range []struct {
		name, text string
		pc         int
		want       string
	}{
		{"null", "r2 = 0\nr0 = *(u64 *)(r2 +0)\nexit", 1, "null pointer"},
		{"nowhere", "r2 = 0x123456789abc ll\nr0 = *(u8 *)(r2 +0)\nexit", 2, "no memory of the program"},
		{"wrap", "r2 = -1\nr0 = *(u64 *)(r2 +0)\nexit", 1, "load of 8 bytes"},
		{"packet past end", "r2 = *(u32 *)(r1 +0)\nr0 = *(u8 *)(r2 +16)\nexit", 1, "packet+16 of 16"},
		{"packet straddles end", "r2 = *(u32 *)(r1 +0)\nr0 = *(u32 *)(r2 +13)\nexit", 1, "packet+13 of 16"},
		{"packet before start", "r2 = *(u32 *)(r1 +0)\nr0 = 0\n*(u8 *)(r2 -1) = 1\nexit", 2, "store of 1 bytes"},
		{"packet through data_end", "r2 = *(u32 *)(r1 +4)\nr0 = 0\n*(u8 *)(r2 +0) = 1\nexit", 2, "packet+16 of 16"},
		{"stack above", "r0 = 0\n*(u64 *)(r10 +0) = r0\nexit", 1, "stack frame 0, R10+0"},
		{"stack below", "r0 = 0\n*(u64 *)(r10 -520) = r0\nexit", 1, "stack frame 0, R10-520"},
		{"stack straddles", "r0 = 0\n*(u64 *)(r10 -4) = r0\nexit", 1, "R10-4"},
		{"stack uninitialised", "r0 = *(u64 *)(r10 -8)\nexit", 0, "has not written"},
		{"stack partly initialised", "*(u32 *)(r10 -8) = 1\nr0 = *(u64 *)(r10 -8)\nexit", 1, "has not written"},
		{"stack uninitialised, derived", "r2 = r10\nr2 += -8\nr0 = *(u16 *)(r2 +1)\nexit", 2, "has not written"},
		{"register", "r0 = r3\nexit", 0, "R3 is read"},
		{"register on one path", "r2 = *(u32 *)(r1 +12)\nif r2 == 1 goto +1\nr3 = 1\nif r2 == 0 goto +1\nr0 = r3\nr0 = r4\nexit", 5, "R4 is read"},
		{"no verdict", "exit", 0, "R0 is read"},
		{"clobbered by a call", "r2 = 1\ncall 5\nr0 = r2\nexit", 2, "R2 is read"},
		{"argument", "call 1\nr0 = 0\nexit", 0, "R2 is read"},
		{"callee-saved in callee", "r6 = 1\ncall f\nexit\nf:\nr0 = r6\nexit", 3, "R6 is read"},
		{"void subprogram", "call f\nexit\nf:\nr1 = 0\nexit", 1, "R0 is read"},
		{"ctx gap", "r0 = *(u32 *)(r1 +20)\nexit", 0, "no field"},
		{"ctx end", "r0 = *(u32 *)(r1 +24)\nexit", 0, "test_ctx"},
		{"ctx narrow pointer", "r0 = *(u16 *)(r1 +0)\nexit", 0, "field data allows no load"},
		{"ctx sign-extended pointer", "r0 = *(s32 *)(r1 +0)\nexit", 0, "pointer"},
		{"ctx wide", "r0 = *(u64 *)(r1 +8)\nexit", 0, "data_meta ends"},
		{"ctx unaligned", "r0 = *(u16 *)(r1 +13)\nexit", 0, "aligned"},
		{"ctx read-only", "r0 = 0\n*(u32 *)(r1 +12) = r0\nexit", 1, "field ro allows no store"},
		{"ctx pointer store", "r0 = 0\n*(u32 *)(r1 +0) = r0\nexit", 1, "field data allows no store"},
		{"ctx atomic", "r0 = 0\nlock *(u32 *)(r1 +16) += r0\nexit", 1, "atomic"},
		{"atomic unaligned", "r0 = 0\n*(u64 *)(r10 -8) = 0\n*(u64 *)(r10 -16) = 0\nlock *(u64 *)(r10 -12) += r0\nexit", 3, "aligned"},
		{"map handle", "r1 = map[0]\nr0 = *(u64 *)(r1 +0)\nexit", 2, "map counters itself"},
		{"map value end", lookup + "\nr1 = *(u8 *)(r0 +12)\nr0 = 0\nexit", 6, "object 1+12 of 12"},
		{"map value straddles", lookup + "\nr1 = *(u64 *)(r0 +8)\nr0 = 0\nexit", 6, "object 1+8 of 12"},
		{"map value before", lookup + "\nr1 = *(u8 *)(r0 -1)\nr0 = 0\nexit", 6, "object 0+15 of 12"},
		{"lookup with a number", "r1 = 7\nr2 = r10\ncall 1\nexit", 2, "argument 1 of map_lookup_elem: 0x7 is no map"},
		{"lookup with an uninitialised key", "r1 = map[0]\nr2 = r10\nr2 += -4\ncall 1\nexit", 4, "argument 2 of map_lookup_elem"},
		{"lookup with a short key", "r1 = map[0]\nr2 = r10\nr2 += -2\ncall 1\nexit", 4, "argument 2"},
		{"recursion", "call f\nexit\nf:\ncall f\nexit", 2, "8 frames"},
		{"callx with nonsense", "r2 = 12345\ncallx r2\nexit", 1, "callx"},
		{"frame of a callee that returned", "call f\nr0 = *(u8 *)(r0 +0)\nexit\nf:\nr0 = r10\nr0 += -8\n*(u64 *)(r0 +0) = r0\nexit", 1, "stack frame"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			set := helpers.Base()
			typ := *packetType
			typ.Helpers = set
			c := load(t, &typ, tc.text, unproven, counters)
			buf := []byte(strings.Repeat("\xaa", 48))
			_, err := c.Program("p").Run(buf[16:32:32])
			var f *vm.Fault
			if !errors.As(err, &f) {
				t.Fatalf("got %v, want a fault", err)
			}
			if int(f.PC) != tc.pc || !strings.Contains(f.Reason, tc.want) {
				t.Errorf("got %v, want %q at %d", err, tc.want, tc.pc)
			}
			if f.Insn == "" || f.Program != "p" {
				t.Errorf("fault lacks its place: %+v", f)
			}
			if string(buf) != strings.Repeat("\xaa", 48) {
				t.Errorf("the packet or its neighbours changed: %x", buf)
			}
		})
	}
}

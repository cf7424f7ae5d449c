package rt

import (
	"reflect"
	"testing"
)

// TestContextHoldsNoPointers checks what code relies on: the collector need not
// know what it writes.
func TestContextHoldsNoPointers(t *testing.T) {
	var walk func(path string, typ reflect.Type)
	walk = func(path string, typ reflect.Type) {
		switch typ.Kind() {
		case reflect.Struct:
			for i := range typ.NumField() {
				walk(path+"."+typ.Field(i).Name, typ.Field(i).Type)
			}
		case reflect.Array:
			walk(path, typ.Elem())
		case reflect.Uint64, reflect.Int64, reflect.Uint32:
		default:
			t.Errorf("%s has type %v, whose size or contents differ between hosts", path, typ)
		}
	}
	walk("Context", reflect.TypeOf(Context{}))
}

// TestOffsets checks that code reaches what it uses most with a displacement of one
// byte, and that 64-bit values are aligned.
func TestOffsets(t *testing.T) {
	for name, off := range map[string]int32{"Arg": OffArg + 4*8, "Meter": OffMeter, "Frame": OffFrame, "CPU": OffCPU, "PacketEnd": OffPacketEnd, "HeldTop": OffHeldTop,
		"Kind": OffKind, "Tails": OffTails, "target": OffTarget, "end": OffEnd} {
		if off < 0 || off > 127 || off%8 != 0 {
			t.Errorf("%s is at %d", name, off)
		}
	}
	if OffFrames%16 != 0 {
		t.Errorf("frames are at %d", OffFrames)
	}
}

func TestExitString(t *testing.T) {
	for e, want := range map[Exit]string{0: "helper 0", 7: "helper 7", Done: "done", Yield: "yield", Stopped: "stopped",
		-4: "Exit(-4)", Custom: "custom 0", Custom - 3: "custom 3"} {
		if got := e.String(); got != want {
			t.Errorf("%d: %q, want %q", int32(e), got, want)
		}
	}
}

func TestStopFlag(t *testing.T) {
	c := NewContext(0)
	if c.Stopped() {
		t.Error("a new context is stopped")
	}
	c.Stop()
	if !c.Stopped() {
		t.Error("not stopped")
	}
	c.Resume()
	if c.Stopped() {
		t.Error("still stopped")
	}
}

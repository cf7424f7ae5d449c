package verifier

import (
	"slices"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/verifier/internal/state"
)

// sleepable reports whether the program may sleep.
func (v *verifier) sleepable() bool { return v.p.Sleepable || v.p.Type.Name == "syscall" }

// mayCall checks that f may be called here, whatever its arguments.
func (m *machine) mayCall(f *helpers.Func) error {
	v, h := m.sv, &m.s.Held
	switch {
	case f.Proto.GPL && v.o.CheckLicense && !v.p.GPLCompatible():
		return m.fail(License, "%s is for programs with a license compatible with the GPL, not %q", f.Name, v.p.License)
	case h.Lock != 0 && f.Name != "spin_unlock":
		return m.fail(Locked, "call of %s while a spin lock is held", f.Name)
	case !f.Proto.MightSleep:
		return nil
	case !v.sleepable():
		return m.fail(Sleeps, "%s may sleep, and this program must not", f.Name)
	case v.async:
		return m.fail(Sleeps, "%s may sleep, and a timer's callback must not", f.Name)
	}
	if what, held := h.Any(); held {
		return m.fail(Sleeps, "%s may sleep, and a %s is held", f.Name, what)
	}
	return nil
}

// holdsNothing checks that nothing is held where a run may end or leave the
// program, by what.
func (m *machine) holdsNothing(what string) error {
	if o := m.s.OpenRef(); o != 0 {
		return m.fail(Unreleased, "%s while the reference made at %d is held", what, m.s.Objs[o].Site)
	}
	if held, ok := m.s.Held.Any(); ok {
		return m.fail(Locked, "%s while a %s is held", what, held)
	}
	return nil
}

// spinLock checks the argument of spin_lock or spin_unlock and does what they
// do: one lock at a time, and the same lock of the same object is released.
//
// Sound: an object of the state is one value of one map on every path that the
// state describes, and its lock lies at one offset.
func (m *machine) spinLock(f *helpers.Func, i int, r state.Reg) error {
	if err := m.fieldArgument(f, i, r, "bpf_spin_lock"); err != nil {
		return err
	}
	h := &m.s.Held
	if f.Name == "spin_unlock" {
		if h.Lock != r.Obj || h.LockOff != r.C {
			return m.fail(Locked, "this lock is not the one that is held")
		}
		h.Lock, h.LockOff = 0, 0
		return nil
	}
	h.Lock, h.LockOff = r.Obj, r.C // mayCall has seen that none is held
	return nil
}

// fieldArgument checks that r is the address of a field of the C type kind in a
// map value.
func (m *machine) fieldArgument(f *helpers.Func, i int, r state.Reg, kind string) error {
	if r.Kind != state.MapValue {
		return m.badArgument(i, "%s wants a %s in a map value, not %v", f.Name, kind, r.Kind)
	}
	if r.V != state.Zero {
		return m.badArgument(i, "%s wants a %s at a constant offset, not %v", f.Name, kind, m.s.Num(r))
	}
	o := &m.s.Objs[r.Obj]
	field := m.sv.specialAt(o.Index, kind, r.C)
	if field == nil {
		return m.badArgument(i, "the value of map %s has no %s at offset %d", m.sv.spec(o.Index).Name, kind, r.C)
	}
	if l := fieldLayouts[kind]; field.Size != l.size || field.Off%l.align != 0 {
		return m.badArgument(i, "the %s of map %s at offset %d has %d bytes, not %d aligned to %d", kind, m.sv.spec(o.Index).Name, r.C, field.Size, l.size, l.align)
	}
	return nil
}

// fieldLayouts are the sizes and alignments of fields that helpers take
// (include/uapi/linux/bpf.h): what a helper touches there.
var fieldLayouts = map[string]struct{ size, align uint32 }{
	"bpf_spin_lock": {4, 4}, "bpf_timer": {16, 8},
}

// tracingTypes are the program types that may run anywhere, inside the kernel's
// own locks too (kernel, is_tracing_prog_type).
var tracingTypes = []string{"kprobe", "tracepoint", "perf_event", "raw_tracepoint", "raw_tracepoint_writable"}

// sleepableMaps are the maps that programs which sleep may use (kernel,
// check_map_prog_compatibility).
var sleepableMaps = []maps.Type{
	maps.Hash, maps.LRUHash, maps.Array, maps.PerCPUHash, maps.PerCPUArray, maps.LRUPerCPUHash, maps.ArrayOfMaps, maps.HashOfMaps,
	maps.RingBuf, maps.UserRingBuf, maps.InodeStorage, maps.SKStorage, maps.TaskStorage, maps.CgrpStorage, maps.Queue, maps.Stack, maps.Arena,
}

// mapFits says why programs of this type may not use map i at all; "" if they
// may.
func (v *verifier) mapFits(i int32) string {
	if v.sleepable() && !slices.Contains(sleepableMaps, v.spec(i).Type) {
		return "programs that may sleep cannot use a map of this type"
	}
	for _, f := range v.maps[i].special {
		switch {
		case f.Kind == "bpf_spin_lock" && v.p.Type.Name == "socket_filter":
			return "socket_filter programs cannot use a map with spin locks"
		case f.Kind != "kptr" && f.Kind != "bpf_refcount" && slices.Contains(tracingTypes, v.p.Type.Name):
			return "programs of this type cannot use a map with a " + f.Kind
		}
	}
	return ""
}

package vm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// TestSweep calls every helper of every program type with every kind of value in
// place of each of its arguments. What the verifier accepts of that runs in the
// checked interpreter, held against its proof, with a host that answers anything: it
// must not fault, and results and memory must be as the helper's contract says. It
// takes one program in many; SKEP_SWEEP=1 takes them all, some minutes long.
func TestSweep(t *testing.T) {
	oneIn := 150
	if testing.Short() {
		oneIn = 1500
		t.Log("short: one program in 1500")
	}
	if n, err := strconv.Atoi(os.Getenv("SKEP_SWEEP")); err == nil && n > 0 {
		oneIn = n
	}
	total := sweep{}
	for i, typ := range linux.Types() {
		s := &sweep{typ: typ, r: rand.New(rand.NewPCG(uint64(i), 0x53eeb)), oneIn: oneIn}
		for _, id := range typ.Helpers.IDs() {
			s.calls(t, fmt.Sprintf("call %d", id), typ.Helpers.Helper(id))
		}
		for _, name := range slices.Concat(typ.Helpers.Kfuncs(), helpers.KfuncNames()) {
			f := typ.Helpers.Kfunc(name)
			if f == nil {
				f = helpers.Kfunc(name)
			}
			s.calls(t, "call "+name, f)
		}
		total.programs += s.programs
		total.accepted += s.accepted
		total.runs += s.runs
	}
	t.Logf("%d programs, %d accepted and loaded, %d runs", total.programs, total.accepted, total.runs)
	if total.accepted < total.programs/10 {
		t.Error("hardly any program is accepted: the sweep does not reach what it should")
	}
}

// A sweep is over the functions that programs of one type can call.
type sweep struct {
	typ                      *hook.Type
	r                        *rand.Rand
	oneIn                    int
	programs, accepted, runs int
}

func spinLock(off uint32) btf.Member {
	return btf.Member{Name: "lock", Type: &btf.Type{Kind: btf.Struct, Name: "bpf_spin_lock", Size: 4}, Offset: 8 * off}
}

// sweepMaps are the maps of the programs, by index.
var sweepMaps = []*maps.Spec{
	0: {Name: "array", Type: maps.Array, KeySize: 4, ValueSize: 64, MaxEntries: 16},
	1: {Name: "hash", Type: maps.Hash, KeySize: 8, ValueSize: 64, MaxEntries: 16},
	2: {Name: "ring", Type: maps.RingBuf, MaxEntries: 4096},
	3: {Name: "one", Type: maps.Array, KeySize: 4, ValueSize: 64, MaxEntries: 1},
	4: {Name: "locked", Type: maps.Array, KeySize: 4, ValueSize: 64, MaxEntries: 1,
		Value: &btf.Type{Kind: btf.Struct, Name: "value", Size: 64, Members: []btf.Member{spinLock(8)}}},
	5: {Name: "config", Type: maps.Array, KeySize: 4, ValueSize: 64, MaxEntries: 1, Flags: maps.ReadOnlyProg},
	6: {Name: "log", Type: maps.Array, KeySize: 4, ValueSize: 64, MaxEntries: 1, Flags: maps.WriteOnlyProg},
	7: {Name: "text", Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1, Flags: maps.ReadOnlyProg, Frozen: true,
		Contents: []maps.Entry{{Key: make([]byte, 4), Value: []byte("%s %d\x00\x00\x00")}}},
	8: {Name: "outer", Type: maps.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 4,
		Inner: &maps.Spec{Name: "inner", Type: maps.Array, KeySize: 4, ValueSize: 64, MaxEntries: 4}},
	9:  {Name: "queue", Type: maps.Queue, ValueSize: 16, MaxEntries: 4},
	10: {Name: "bloom", Type: maps.BloomFilter, ValueSize: 16, MaxEntries: 4},
	11: {Name: "percpu", Type: maps.PerCPUArray, KeySize: 4, ValueSize: 16, MaxEntries: 4},
	12: {Name: "progs", Type: maps.ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 4},
	13: {Name: "perf", Type: maps.PerfEventArray, KeySize: 4, ValueSize: 4, MaxEntries: 4},
	14: {Name: "requests", Type: maps.UserRingBuf, MaxEntries: 4096},
	15: {Name: "stacks", Type: maps.StackTrace, KeySize: 4, ValueSize: 64, MaxEntries: 4},
	16: {Name: "cgroups", Type: maps.CgroupArray, KeySize: 4, ValueSize: 4, MaxEntries: 4},
	17: {Name: "devices", Type: maps.DevMap, KeySize: 4, ValueSize: 4, MaxEntries: 4},
	18: {Name: "sockets", Type: maps.SockMap, KeySize: 4, ValueSize: 4, MaxEntries: 4},
	19: {Name: "socket_hash", Type: maps.SockHash, KeySize: 4, ValueSize: 4, MaxEntries: 4},
	20: {Name: "timers", Type: maps.Array, KeySize: 4, ValueSize: 64, MaxEntries: 1,
		Value: &btf.Type{Kind: btf.Struct, Name: "timed", Size: 64, Members: []btf.Member{
			{Name: "timer", Type: &btf.Type{Kind: btf.Struct, Name: "bpf_timer", Size: 16}, Offset: 8 * 16}}}},
}

// Parts of the programs. A value ends up in R7, R6 is the context, R9 any number;
// the stack from −128 up is written.
const (
	sweepLookup  = "*(u64 *)(r10 -176) = r9\nr2 = r10\nr2 += -176\nr1 = map[%d]\ncall 1\nr7 = r0\n"
	sweepReserve = "r1 = map[2]\nr2 = 64\nr3 = 0\ncall 131\nif r0 == 0 goto out\nr7 = r0\nr8 = r0\n"
	sweepDiscard = "r1 = r8\nr2 = 0\ncall 133\n"
	sweepLocal   = "r1 = map[3][0]+0\nr2 = 32\nr3 = 0\nr4 = r10\nr4 += -144\ncall 197\nr7 = r10\nr7 += -144\n"
	sweepRecord  = "r1 = map[2]\nr2 = 64\nr3 = 0\nr4 = r10\nr4 += -160\ncall 198\nr7 = r10\nr7 += -160\n"
	sweepGiveUp  = "r1 = r10\nr1 += -160\nr2 = 0\ncall 200\n"
	sweepData    = "r1 = r7\nr2 = 0\nr3 = 16\ncall 203\nr7 = r0\n"
	sweepFound   = "if r7 == 0 goto out\n"
)

// A sweepValue is what an argument is tried with: code that leaves it in R7, and what
// has to be given back after the call.
type sweepValue struct{ before, after string }

// values returns the values to try.
func (s *sweep) values() []sweepValue {
	var vs []sweepValue
	add := func(before ...string) {
		for _, b := range before {
			vs = append(vs, sweepValue{before: b})
		}
	}
	for _, n := range []string{"0", "1", "7", "8", "16", "64", "65", "128", "-1", "0x20000000", "0x100000000 ll", "0x8000000000000000 ll"} {
		add("r7 = " + n + "\n")
	}
	add("", "w7 = -1\n", "r7 = r9\n", "r7 = r9\nr7 &= 63\n", "r7 = r9\nif r7 > 64 goto out\n", "r7 = r9\nif r7 > 64 goto out\n"+sweepFound,
		"r7 = r9\nif r7 s> 64 goto out\n", "r7 = r9\nif w7 > 64 goto out\n", "r7 = r9\nr7 &= 15\nr7 += -8\n", "r7 = r6\n", "r7 = r6\nr7 += 8\n")
	for _, off := range []int{0, -4, -8, -9, -16, -61, -64, -128, -136, -300, -512, -520, 8} {
		add(fmt.Sprintf("r7 = r10\nr7 += %d\n", off))
	}
	for _, mask := range []int{7, 63, 32} {
		add(fmt.Sprintf("r7 = r10\nr7 += -64\nr1 = r9\nr1 &= %d\nr7 += r1\n", mask))
	}
	add("*(u64 *)(r10 -64) = r10\nr7 = r10\nr7 += -64\n")
	for _, m := range []int{0, 1, 8, 11} {
		value := fmt.Sprintf(sweepLookup, m)
		add(value, value+sweepFound, value+sweepFound+"r7 += 4\n", value+sweepFound+"r7 += 60\n", value+sweepFound+"r9 &= 7\nr7 += r9\n")
	}
	for _, m := range []int{3, 4, 5, 6, 7, 20} {
		add(fmt.Sprintf("r7 = map[%d][0]+0\n", m), fmt.Sprintf("r7 = map[%d][0]+4\n", m))
	}
	for m := range sweepMaps {
		add(fmt.Sprintf("r7 = map[%d]\n", m))
	}
	add(sweepLocal, sweepLocal+"r7 += 8\n", sweepLocal+"*(u64 *)(r10 -136) = 0\n", sweepLocal+sweepData, sweepLocal+sweepData+sweepFound, "r7 = subprog[body]\n")
	vs = append(vs,
		sweepValue{sweepReserve, sweepDiscard}, sweepValue{sweepReserve, ""}, sweepValue{sweepReserve + "r7 += 60\n", sweepDiscard},
		sweepValue{sweepReserve + "r9 &= 7\nr7 += r9\n", sweepDiscard}, sweepValue{sweepReserve + sweepDiscard, ""},
		sweepValue{sweepRecord, sweepGiveUp}, sweepValue{sweepRecord, ""}, sweepValue{sweepRecord + sweepGiveUp, ""},
		sweepValue{sweepRecord + sweepData + "if r7 == 0 goto clean\n", "clean:\n" + sweepGiveUp})
	data, end, object := s.field(hook.FieldPacket), s.field(hook.FieldPacketEnd), s.field(hook.FieldObject)
	if data != "" {
		for _, n := range []int{7, 64, 128} {
			packet := fmt.Sprintf("r7 = %s\nr8 = %s\nr1 = r7\nr1 += %d\nif r1 > r8 goto out\n", data, end, n)
			add(packet, packet+"r7 += 1\n", packet+"r7 = r8\n", packet+"r9 &= 7\nr7 += r9\n")
		}
		add("r7 = " + data + "\n")
	}
	if object != "" {
		add("r7 = "+object+"\n", "r7 = "+object+"\n"+sweepFound, "r7 = "+object+"\n"+sweepFound+"r1 = r7\ncall 95\nr7 = r0\n"+sweepFound)
	}
	return vs
}

// field returns a load of the context's first field of a kind, or "".
func (s *sweep) field(k hook.FieldKind) string {
	for _, f := range s.typ.Ctx.Fields {
		if f.Kind == k {
			return fmt.Sprintf("*(u%d *)(r6 +%d)", 8*f.Size, f.Off)
		}
	}
	return ""
}

// proper returns code that gives argument i of f what it wants: what to do before,
// and the assignment. ok is false if the sweep does not know.
func (s *sweep) proper(f *helpers.Func, i int) (before, set string, ok bool) {
	a, r := &f.Proto.Args[i], fmt.Sprintf("r%d", i+1)
	stack := func(off int) string { return fmt.Sprintf("%s = r10\n%s += %d\n", r, r, off) }
	saved := fmt.Sprintf("*(u64 *)(r10 -%d) = r7\n", 240+8*i)
	again := fmt.Sprintf("%s = *(u64 *)(r10 -%d)\n", r, 240+8*i)
	switch a.Kind {
	case helpers.ArgAnything:
		return "", r + " = 0\n", true
	case helpers.ArgMapPtr:
		for m, spec := range sweepMaps {
			if takes := verifier.MapHelpers(spec.Type); slices.Contains(takes, f.Name) || f.Name == "timer_init" && spec.Name == "timers" {
				return "", fmt.Sprintf("%s = map[%d]\n", r, m), true
			}
		}
	case helpers.ArgMapKey, helpers.ArgMapValue, helpers.ArgStack:
		return "", stack(-64), true
	case helpers.ArgMem:
		return "", stack(-int(max(64, a.Size))), a.Size <= 128
	case helpers.ArgSize, helpers.ArgSizeOrZero, helpers.ArgConstAllocSize:
		return "", r + " = 8\n", true
	case helpers.ArgCtx:
		return "", r + " = r6\n", true
	case helpers.ArgFunc:
		return "", r + " = subprog[body]\n", true
	case helpers.ArgConstStr:
		return "", r + " = map[7][0]+0\n", true
	case helpers.ArgTimer:
		return "", r + " = map[20][0]+16\n", true
	case helpers.ArgRingBufMem:
		return sweepReserve + saved, again, true
	case helpers.ArgDynptr:
		switch {
		case a.Uninit:
			return "", stack(-224), true
		case a.Object == "ringbuf":
			return sweepRecord, stack(-160), true
		}
		return sweepLocal, stack(-144), true
	case helpers.ArgObject:
		if object := s.field(hook.FieldObject); object != "" && !a.Release {
			return "r7 = " + object + "\n" + sweepFound + saved, again, true
		}
	}
	return "", "", false
}

// calls tries f, which the text call calls.
func (s *sweep) calls(t *testing.T, call string, f *helpers.Func) {
	if f.Proto.Control == helpers.Throw || strings.Contains(f.Name, "bpf_iter_") {
		return
	}
	for arg := range f.Proto.NumArgs() {
		for _, v := range s.values() {
			if s.r.IntN(s.oneIn) != 0 {
				continue
			}
			if text, ok := s.text(call, f, arg, v); ok {
				if err := s.try(text); err != nil {
					t.Errorf("%s, argument %d of %s: %v\n%s", s.typ.Name, arg+1, f.Name, err, text)
				}
			}
		}
	}
}

// text returns a program that calls f with v for argument arg, and looks at what the
// call leaves.
func (s *sweep) text(call string, f *helpers.Func, arg int, v sweepValue) (text string, ok bool) {
	var before, set strings.Builder
	for i := range f.Proto.NumArgs() {
		if i == arg {
			if v.before != "" { // else the register is unreadable
				fmt.Fprintf(&set, "r%d = r7\n", i+1)
			}
			continue
		}
		b, a, ok := s.proper(f, i)
		if !ok {
			return "", false
		}
		before.WriteString(b)
		set.WriteString(a)
	}
	var b strings.Builder
	b.WriteString("r6 = r1\n")
	for off := 8; off <= 128; off += 8 {
		fmt.Fprintf(&b, "*(u64 *)(r10 -%d) = %d\n", off, off/2)
	}
	b.WriteString("r9 = map[3][0]+0\nr9 = *(u64 *)(r9 +0)\n" + before.String() + v.before + set.String() + call + "\n")
	switch p := &f.Proto; {
	case p.AcquiresObject && p.Ret.RingBuf:
		b.WriteString("if r0 == 0 goto none\nr1 = r0\nr2 = 0\ncall 133\nnone:\n")
	case p.AcquiresObject:
		b.WriteString("if r0 == 0 goto none\nr1 = r0\ncall 86\nnone:\n")
	case f.Name == "ringbuf_reserve_dynptr":
		b.WriteString("r1 = r10\nr1 += -224\nr2 = 0\ncall 200\n")
	}
	fmt.Fprintf(&b, "%sr1 = *(u64 *)(r10 -64)\nr2 = *(u64 *)(r10 -56)\nout:\nr0 = %d\nexit", v.after, max(0, s.typ.Return.Min))
	if text = b.String(); strings.Contains(text, "subprog[body]") {
		text += "\nbody:\nr0 = 0\nexit"
	}
	return text, true
}

// try runs a program if it is accepted.
func (s *sweep) try(text string) error {
	p, err := s.link(text)
	if err != nil {
		return err
	}
	s.programs++
	proof, _, err := verifier.Verify(context.Background(), p, verifier.Options{Invariants: true, MaxPacket: MaxPacket})
	if err != nil {
		return nil
	}
	c, err := LoadProgram(p, Options{Engine: Checked, AllowUninitStack: true, Host: anyHost(s.r)})
	if err != nil {
		return nil // the helper has no body
	}
	defer c.Close()
	s.accepted++
	s.fill(c)
	w := newWatcher(s.r, &watched{v: proof, p: c.Program("p")})
	for range 3 {
		s.runs++
		if err := w.run(s.input()); err != nil {
			return err
		}
	}
	return nil
}

// link assembles a program that may call kfuncs by name.
func (s *sweep) link(text string) (*prog.Program, error) {
	const first = 1_000_000
	var externs []prog.Extern
	for line := range strings.Lines(text) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "call bpf_"); ok {
			text = strings.Replace(text, "call bpf_"+name, fmt.Sprintf("call %d", first+len(externs)), 1)
			externs = append(externs, prog.Extern{Name: "bpf_" + name})
		}
	}
	insns, err := prog.Assemble(text)
	if err != nil {
		return nil, err
	}
	p, err := prog.FromInsns("p", s.typ, insns, sweepMaps)
	if err != nil {
		return nil, err
	}
	for pc, in := range p.Insns {
		if in.IsCall(isa.CallHelper) && in.Imm >= first {
			p.Insns[pc].Src, p.Insns[pc].Imm = isa.CallKfunc, in.Imm-first
		}
	}
	p.Externs = externs
	return p, nil
}

// fill puts entries into the maps of c.
func (s *sweep) fill(c *Collection) {
	for i := range uint32(16) {
		for _, spec := range sweepMaps[:5] {
			m := c.Map(spec.Name)
			if m == nil || i >= spec.MaxEntries || spec.KeySize == 0 {
				continue
			}
			key, value := make([]byte, spec.KeySize), make([]byte, spec.ValueSize)
			key[0], value[0] = byte(i), byte(s.r.IntN(70))
			for j := range value[1:] {
				value[1+j] = byte(s.r.Uint32() * uint32(i%2))
			}
			_ = m.UpdateElem(0, key, value, 0)
		}
	}
	if outer, ok := c.Map("outer").(maps.MapHolder); ok {
		if inner, err := maps.New(sweepMaps[8].Inner); err == nil {
			_ = outer.StoreMap(make([]byte, 4), inner, maps.Any)
		}
	}
	if m := c.Map("requests"); m != nil {
		if user, err := maps.NewUserRingBufProducer(m); err == nil {
			if b, err := user.Reserve(16); err == nil {
				_ = user.Submit(b)
			}
		}
	}
}

// input returns a packet with room around it, or a context, of any bytes.
func (s *sweep) input() any {
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(s.r.Uint32())
		}
		return b
	}
	if s.typ.Input != hook.InputPacket {
		return random(int(s.typ.Ctx.Size))
	}
	n := []int{0, 14, 64, 200}[s.r.IntN(4)]
	buf := random(512 + n)
	if n > 14 && s.r.IntN(2) == 0 {
		copy(buf[256+12:], []byte{8, 0, 0x45})
	}
	return &Packet{Buf: buf, Meta: 256 - 32*s.r.IntN(2), Head: 256, Tail: 256 + n}
}

var errAnything = errors.New("whatever the host says")

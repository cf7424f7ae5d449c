package verifier

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

func valueType(size uint32, members ...btf.Member) *btf.Type {
	return &btf.Type{Kind: btf.Struct, Name: "value", Size: size, Members: members}
}

func fieldAt(off uint32, name string, size uint32) btf.Member {
	return btf.Member{Name: name, Type: &btf.Type{Kind: btf.Struct, Name: name, Size: size}, Offset: 8 * off}
}

var lockedMap = &maps.Spec{
	Name: "locked", Type: maps.Array, KeySize: 4, ValueSize: 64, MaxEntries: 1,
	Value: valueType(64, fieldAt(0, "bpf_spin_lock", 4)),
}

// constructMaps are the maps of the programs below, by index.
var constructMaps = []*maps.Spec{
	0: {Name: "array", Type: maps.Array, KeySize: 4, ValueSize: 64, MaxEntries: 16},
	1: {Name: "hash", Type: maps.Hash, KeySize: 8, ValueSize: 8, MaxEntries: 16},
	2: {Name: "events", Type: maps.RingBuf, MaxEntries: 4096},
	3: lockedMap,
	4: {Name: "locks", Type: maps.Hash, KeySize: 4, ValueSize: 64, MaxEntries: 8, Value: valueType(64, fieldAt(8, "bpf_spin_lock", 4))},
	5: {Name: "outer", Type: maps.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 4,
		Inner: &maps.Spec{Name: "inner", Type: maps.Array, KeySize: 4, ValueSize: 16, MaxEntries: 4}},
	6: {Name: "timers", Type: maps.Array, KeySize: 4, ValueSize: 32, MaxEntries: 4, Value: valueType(32, fieldAt(16, "bpf_timer", 16))},
	7: {Name: "progs", Type: maps.ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 4},
	8: {Name: "timers2", Type: maps.Array, KeySize: 4, ValueSize: 32, MaxEntries: 4, Value: valueType(32, fieldAt(16, "bpf_timer", 16))},
	9: {Name: "outer_hash", Type: maps.HashOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 4,
		Inner: &maps.Spec{Name: "inner_hash", Type: maps.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 4}},
	10: {Name: "one", Type: maps.Array, KeySize: 4, ValueSize: 64, MaxEntries: 1},
	11: {Name: "trie", Type: maps.LPMTrie, KeySize: 8, ValueSize: 8, MaxEntries: 16, Flags: maps.NoPrealloc},
	12: {Name: "config", Type: maps.Array, KeySize: 4, ValueSize: 64, MaxEntries: 1, Flags: maps.ReadOnlyProg},
	13: {Name: "log", Type: maps.Array, KeySize: 4, ValueSize: 64, MaxEntries: 1, Flags: maps.WriteOnlyProg},
	14: {Name: "requests", Type: maps.UserRingBuf, MaxEntries: 4096},
	15: {Name: "sockets", Type: maps.SockMap, KeySize: 4, ValueSize: 4, MaxEntries: 4},
	16: {Name: "outer_locks", Type: maps.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 4,
		Inner: &maps.Spec{Name: "inner_locks", Type: maps.Array, KeySize: 4, ValueSize: 64, MaxEntries: 4, Value: valueType(64, fieldAt(0, "bpf_spin_lock", 4))}},
	17: {Name: "outer_timers", Type: maps.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 4,
		Inner: &maps.Spec{Name: "inner_timers", Type: maps.Array, KeySize: 4, ValueSize: 32, MaxEntries: 4, Value: valueType(32, fieldAt(16, "bpf_timer", 16))}},
	18: {Name: "stacks", Type: maps.StackTrace, KeySize: 4, ValueSize: 64, MaxEntries: 4},
	19: {Name: "cgroups", Type: maps.CgroupArray, KeySize: 4, ValueSize: 4, MaxEntries: 4},
	20: {Name: "perf", Type: maps.PerfEventArray, KeySize: 4, ValueSize: 4, MaxEntries: 4},
	21: {Name: "queue", Type: maps.Queue, ValueSize: 16, MaxEntries: 4},
	22: {Name: "stack", Type: maps.Stack, ValueSize: 16, MaxEntries: 4},
	23: {Name: "bloom", Type: maps.BloomFilter, ValueSize: 16, MaxEntries: 4},
	24: {Name: "percpu", Type: maps.PerCPUArray, KeySize: 4, ValueSize: 16, MaxEntries: 4},
	25: {Name: "percpu_hash", Type: maps.PerCPUHash, KeySize: 4, ValueSize: 16, MaxEntries: 4},
	26: {Name: "lru", Type: maps.LRUHash, KeySize: 4, ValueSize: 16, MaxEntries: 4},
	27: {Name: "lock_timer", Type: maps.Array, KeySize: 4, ValueSize: 64, MaxEntries: 1, Value: valueType(64, fieldAt(0, "bpf_spin_lock", 4), fieldAt(16, "bpf_timer", 16))},
}

// kernelMaps creates constructMaps in the kernel, once.
var kernelMaps = sync.OnceValues(func() ([]*oracle.Map, error) {
	var ms []*oracle.Map
	for _, s := range constructMaps {
		var inner *oracle.Map
		if s.Inner != nil {
			var err error
			if inner, err = oracle.NewMap(s.Inner, nil); err != nil {
				return nil, err
			}
		}
		m, err := oracle.NewMap(s, inner)
		if err != nil {
			return nil, err
		}
		ms = append(ms, m)
	}
	return ms, nil
})

// kernelTypes are the kernel's numbers of program types.
var kernelTypes = map[string]uint32{
	"socket_filter": oracle.SocketFilter, "kprobe": 2, "cgroup_skb": 8, "sched_cls": oracle.SchedCls, "xdp": oracle.XDP, "syscall": oracle.Syscall,
}

// kfuncIDs returns the kernel's BTF numbers of its functions.
var kfuncIDs = sync.OnceValues(func() (map[string]int32, error) {
	out, err := exec.Command("bpftool", "btf", "dump", "file", "/sys/kernel/btf/vmlinux").Output()
	if err != nil {
		return nil, err
	}
	ids := map[string]int32{}
	for _, m := range regexp.MustCompile(`(?m)^\[(\d+)\] FUNC '(bpf_\w+)'`).FindAllStringSubmatch(string(out), -1) {
		n, _ := strconv.Atoi(m[1])
		ids[m[2]] = int32(n)
	}
	return ids, nil
})

// firstExtern is the helper number that stands for kfunc 0 in a text.
const firstExtern = 1_000_000

var kfuncCall = regexp.MustCompile(`call (bpf_\w+)`)

// construct assembles a program that may call kfuncs by name. names are the
// kfuncs, by the number in raw less firstExtern.
func construct(t *testing.T, typ, text string) (p *prog.Program, raw []prog.Insn, names []string) {
	t.Helper()
	text = kfuncCall.ReplaceAllStringFunc(text, func(s string) string {
		names = append(names, strings.TrimPrefix(s, "call "))
		return "call " + strconv.Itoa(firstExtern+len(names)-1)
	})
	raw, err := prog.Assemble(text)
	if err != nil {
		t.Fatal(err)
	}
	p, err = prog.FromInsns("test", linux.Platform.Type(typ), raw, constructMaps)
	if err != nil {
		t.Fatal(err)
	}
	for pc, in := range p.Insns {
		if in.IsCall(isa.CallHelper) && in.Imm >= firstExtern {
			p.Insns[pc].Src = isa.CallKfunc
			p.Insns[pc].Imm -= firstExtern
		}
	}
	for _, n := range names {
		p.Externs = append(p.Externs, prog.Extern{Name: n})
	}
	return p, raw, names
}

// kernelAccepts loads a program into the kernel. globals are the types of its
// global functions, by where they begin.
func kernelAccepts(t *testing.T, typ string, raw []prog.Insn, names []string, globals map[prog.PC]*btf.Type) (bool, string) {
	t.Helper()
	number, ok := kernelTypes[typ]
	if !ok {
		t.Fatalf("no number for type %s", typ)
	}
	ms, err := kernelMaps()
	if err != nil {
		t.Fatal(err)
	}
	for pc, in := range raw {
		if !in.IsCall(isa.CallHelper) || in.Imm < firstExtern {
			continue
		}
		ids, err := kfuncIDs()
		if err != nil {
			t.Skipf("no numbers of kfuncs: %v", err)
		}
		id, ok := ids[names[in.Imm-firstExtern]]
		if !ok {
			t.Skipf("this kernel has no %s", names[in.Imm-firstExtern])
		}
		raw[pc].Src, raw[pc].Imm = isa.CallKfunc, id
	}
	p, log, err := oracle.Load(oracle.LoadOptions{Type: number, Insns: raw, Maps: ms, Globals: globals})
	if err == nil {
		p.Close()
	}
	return err == nil, log
}

// A shape is a program and its verdict: ours is code, the kernel's is the same
// unless kernel says why it is not.
type shape struct {
	name, typ, asm string
	code           Code   // "": accepted
	kernel         string // why the kernel's verdict is the other one
}

func checkShapes(t *testing.T, shapes []shape) {
	for _, tc := range shapes {
		t.Run(tc.name, func(t *testing.T) {
			p, raw, names := construct(t, tc.typ, tc.asm)
			_, _, err := Verify(context.Background(), p, Options{})
			var e *Error
			switch {
			case tc.code == "" && err != nil:
				t.Errorf("rejected: %v", err)
			case tc.code == "":
			case !errors.As(err, &e):
				t.Errorf("got %v, want a rejection with %s", err, tc.code)
			case e.Code != tc.code:
				t.Errorf("got %s (%v), want %s", e.Code, e, tc.code)
			default:
				t.Log(e)
			}
			if oracle.Available() != nil {
				return // the kernel's verdict is in the table already
			}
			ok, log := kernelAccepts(t, tc.typ, raw, names, nil)
			if want := (tc.code == "") == (tc.kernel == ""); ok != want {
				t.Errorf("the kernel says %v, the table %v:\n%s", ok, want, log)
			}
		})
	}
}

const lookupLocks = `
	*(u32 *)(r10 -4) = 1
	r2 = r10
	r2 += -4
	r1 = map[4]
	call 1
	if r0 == 0 goto out
`

const out = `
out:
	r0 = 0
	exit
`

func TestLocks(t *testing.T) {
	checkShapes(t, []shape{
		{"taken and released", "xdp", "r6 = map[3][0]+0\nr1 = r6\ncall 93\n*(u64 *)(r6 +8) = 1\nr1 = r6\ncall 94" + out, "", ""},
		{"released, not held", "xdp", "r1 = map[3][0]+0\ncall 94" + out, Locked, ""},
		{"taken twice", "xdp", "r1 = map[3][0]+0\ncall 93\nr1 = map[3][0]+0\ncall 93\nr1 = map[3][0]+0\ncall 94" + out, Locked, ""},
		{"held at exit", "xdp", "r1 = map[3][0]+0\ncall 93" + out, Locked, ""},
		{"held on one path", "xdp", `
			r6 = *(u32 *)(r1 +16)
			r1 = map[3][0]+0
			call 93
			if r6 == 5 goto out
			r1 = map[3][0]+0
			call 94` + out, Locked, ""},
		{"taken on one path", "xdp", `
			r6 = *(u32 *)(r1 +16)
			if r6 == 5 goto here
			r1 = map[3][0]+0
			call 93
		here:
			r1 = map[3][0]+0
			call 94` + out, Locked, ""},
		{"taken and released under one condition", "xdp", `
			r6 = *(u32 *)(r1 +16)
			r6 &= 1
			if r6 == 1 goto here
			r1 = map[3][0]+0
			call 93
		here:
			if r6 == 1 goto out
			r1 = map[3][0]+0
			call 94` + out, "", ""},
		{"helper while held", "xdp", "r1 = map[3][0]+0\ncall 93\ncall 7\nr1 = map[3][0]+0\ncall 94" + out, Locked, ""},
		{"lock stored to", "xdp", "r1 = map[3][0]+0\n*(u32 *)(r1 +0) = 0" + out, BadPointer, ""},
		{"lock loaded", "xdp", "r1 = map[3][0]+0\nr0 = *(u32 *)(r1 +0)" + out, BadPointer, ""},
		{"lock overlapped by its last byte", "xdp", "r1 = map[3][0]+0\nr0 = *(u8 *)(r1 +3)" + out, BadPointer, ""},
		{"byte after the lock", "xdp", "r1 = map[3][0]+0\nr0 = *(u8 *)(r1 +4)" + out, "", ""},
		{"byte before the lock", "xdp", lookupLocks + "r0 = *(u64 *)(r0 +0)" + out, "", ""},
		{"variable offset over the lock", "xdp", lookupLocks + `
			r6 = r0
			call 7
			r0 &= 15
			r6 += r0
			r0 = *(u8 *)(r6 +0)` + out, BadPointer, ""},
		{"variable offset past the lock", "xdp", lookupLocks + `
			r6 = r0
			call 7
			r0 &= 15
			r6 += r0
			r0 = *(u8 *)(r6 +12)` + out, "", ""},
		{"lock passed to a helper as memory", "xdp", lookupLocks + `
			r3 = r0
			*(u64 *)(r10 -8) = 0
			r2 = r10
			r2 += -8
			r1 = map[1]
			r3 += 4
			r4 = 0
			call 2` + out, BadPointer, ""},
		{"other value's lock released", "xdp", lookupLocks + `
			r6 = r0
			*(u32 *)(r10 -4) = 2
			r2 = r10
			r2 += -4
			r1 = map[4]
			call 1
			if r0 == 0 goto out
			r7 = r0
			r6 += 8
			r7 += 8
			r1 = r6
			call 93
			r1 = r7
			call 94` + out, Locked, ""},
		{"lock of a hash value", "xdp", lookupLocks + `
			r6 = r0
			r6 += 8
			r1 = r6
			call 93
			r1 = r6
			call 94` + out, "", ""},
		{"not where the lock is", "xdp", "r1 = map[3][0]+4\ncall 93\nr1 = map[3][0]+4\ncall 94" + out, BadArgument, ""},
		{"map without a type", "xdp", "r1 = map[10][0]+0\ncall 93\nr1 = map[10][0]+0\ncall 94" + out, BadArgument, ""},
		{"on the stack", "xdp", "r1 = r10\nr1 += -8\ncall 93" + out, BadArgument, ""},
		{"subprogram while held", "xdp", `
			r1 = map[3][0]+0
			call 93
			call f
			r1 = map[3][0]+0
			call 94
			r0 = 0
			exit
		f:
			r0 = 1
			exit`, "", ""},
		{"released by a subprogram", "xdp", `
			r1 = map[3][0]+0
			call 93
			r1 = map[3][0]+0
			call f
			r0 = 0
			exit
		f:
			call 94
			r0 = 1
			exit`, "", ""},
		{"tail call while held", "xdp", `
			r6 = r1
			r1 = map[3][0]+0
			call 93
			r1 = r6
			r2 = map[7]
			r3 = 0
			call 12
			r1 = map[3][0]+0
			call 94` + out, Locked, ""},
		{"legacy packet load while held", "sched_cls", `
			r6 = r1
			r1 = map[3][0]+0
			call 93
			r0 = *(u8 *)skb[0]
			r1 = map[3][0]+0
			call 94` + out, Locked, ""},
		{"kprobe", "kprobe", "r1 = map[3][0]+0\ncall 93\nr1 = map[3][0]+0\ncall 94" + out, BadMap, ""},
		{"socket_filter", "socket_filter", "r1 = map[3][0]+0\ncall 93\nr1 = map[3][0]+0\ncall 94" + out, BadMap, ""},
		{"left by a callback", "xdp", `
			r1 = 4
			r2 = subprog[body]
			r3 = 0
			r4 = 0
			call 181
			r0 = 0
			exit
		body:
			r1 = map[3][0]+0
			call 93
			r0 = 0
			exit`, Locked, ""},
		{"inside a callback", "xdp", `
			r1 = 4
			r2 = subprog[body]
			r3 = 0
			r4 = 0
			call 181
			r0 = 0
			exit
		body:
			r1 = map[3][0]+0
			call 93
			r1 = map[3][0]+0
			call 94
			r0 = 0
			exit`, "", ""},
		{"callbacks while held", "xdp", `
			r1 = map[3][0]+0
			call 93
			r1 = 4
			r2 = subprog[body]
			r3 = 0
			r4 = 0
			call 181
			r1 = map[3][0]+0
			call 94
			r0 = 0
			exit
		body:
			r0 = 0
			exit`, Locked, ""},
	})
}

const lookupInner = `
	*(u32 *)(r10 -4) = 1
	r2 = r10
	r2 += -4
	r1 = map[5]
	call 1
	if r0 == 0 goto out
	r1 = r0
	r2 = r10
	r2 += -4
`

func TestMapsOfMaps(t *testing.T) {
	checkShapes(t, []shape{
		{"value of an inner map", "xdp", lookupInner + "call 1\nif r0 == 0 goto out\nr0 = *(u64 *)(r0 +8)" + out, "", ""},
		{"beyond the inner value", "xdp", lookupInner + "call 1\nif r0 == 0 goto out\nr0 = *(u64 *)(r0 +16)" + out, OutOfBounds, ""},
		{"inner value may be null", "xdp", lookupInner + "*(u32 *)(r10 -4) = 4\ncall 1\nr0 = *(u64 *)(r0 +8)" + out, NullPointer, ""},
		{"inner map may be null", "xdp", `
			*(u32 *)(r10 -4) = 1
			r2 = r10
			r2 += -4
			r1 = map[5]
			call 1
			r1 = r0
			r2 = r10
			r2 += -4
			call 1` + out, NullPointer, ""},
		{"inner map as memory", "xdp", lookupInner + "*(u64 *)(r1 +0) = 1" + out, BadPointer, ""},
		{"inner map moved", "xdp", lookupInner + "r1 += 8\ncall 1" + out, BadArithmetic, ""},
		{"inner map updated", "xdp", lookupInner + "*(u64 *)(r10 -24) = 0\n*(u64 *)(r10 -16) = 0\nr3 = r10\nr3 += -24\nr4 = 0\ncall 2" + out, "", ""},
		{"outer map updated", "xdp", `
			*(u32 *)(r10 -4) = 1
			r2 = r10
			r2 += -4
			r3 = r2
			r1 = map[5]
			r4 = 0
			call 2` + out, BadArgument, ""},
		{"inner hash", "xdp", `
			*(u32 *)(r10 -4) = 1
			r2 = r10
			r2 += -4
			r1 = map[9]
			call 1
			if r0 == 0 goto out
			r1 = r0
			r2 = r10
			r2 += -4
			call 1
			if r0 == 0 goto out
			*(u64 *)(r0 +0) = 7` + out, "", ""},
		{"callbacks over an inner map", "xdp", lookupInner + `
			r2 = subprog[body]
			r3 = 0
			r4 = 0
			call 164
		out:
			r0 = 0
			exit
		body:
			r0 = *(u64 *)(r3 +8)
			r0 = 0
			exit`, "", ""},
		{"callbacks beyond an inner value", "xdp", lookupInner + `
			r2 = subprog[body]
			r3 = 0
			r4 = 0
			call 164
		out:
			r0 = 0
			exit
		body:
			r0 = *(u64 *)(r3 +16)
			r0 = 0
			exit`, OutOfBounds, ""},
	})
}

const lookupTimer = `
	*(u32 *)(r10 -4) = 1
	r2 = r10
	r2 += -4
	r1 = map[6]
	call 1
	if r0 == 0 goto out
	r6 = r0
`

const startTimer = lookupTimer + `
	r1 = r6
	r1 += 16
	r2 = map[6]
	r3 = 1
	call 169
	r1 = r6
	r1 += 16
	r2 = subprog[late]
	call 170
	r1 = r6
	r1 += 16
	r2 = 1000
	r3 = 0
	call 171
out:
	r0 = 0
	exit
late:
`

func TestTimers(t *testing.T) {
	checkShapes(t, []shape{
		{"started", "xdp", startTimer + "r0 = *(u64 *)(r3 +8)\nr1 = *(u32 *)(r2 +0)\n*(u64 *)(r3 +0) = r1\nr0 = 0\nexit", "", ""},
		{"callback returns 1", "xdp", startTimer + "r0 = 1\nexit", BadReturn, ""},
		{"callback beyond the value", "xdp", startTimer + "r0 = *(u64 *)(r3 +32)\nr0 = 0\nexit", OutOfBounds, ""},
		{"callback touches the timer", "xdp", startTimer + "r0 = *(u64 *)(r3 +16)\nr0 = 0\nexit", BadPointer, ""},
		{"callback writes the key", "xdp", startTimer + "*(u32 *)(r2 +0) = 1\nr0 = 0\nexit", ReadOnly, ""},
		{"callback reads an argument that it does not get", "xdp", startTimer + "r0 = r4\nr0 = 0\nexit", Unreadable, ""},
		{"callback leaks a reference", "xdp", startTimer + "r1 = map[2]\nr2 = 8\nr3 = 0\ncall 131\nr0 = 0\nexit", Unreleased, ""},
		{"callback starts itself again", "xdp", startTimer + `
			r6 = r3
			r1 = r6
			r1 += 16
			r2 = subprog[late]
			call 170
			r1 = r6
			r1 += 16
			r2 = 1000
			r3 = 0
			call 171
			r0 = 0
			exit`, "", ""},
		{"map of another timer", "xdp", lookupTimer + "r1 = r6\nr1 += 16\nr2 = map[8]\nr3 = 1\ncall 169" + out, BadArgument, ""},
		{"not where the timer is", "xdp", lookupTimer + "r1 = r6\nr1 += 8\nr2 = map[6]\nr3 = 1\ncall 169" + out, BadArgument, ""},
		{"timer stored to", "xdp", lookupTimer + "*(u64 *)(r6 +24) = 0" + out, BadPointer, ""},
		{"beside the timer", "xdp", lookupTimer + "*(u64 *)(r6 +8) = 0" + out, "", ""},
		{"kprobe", "kprobe", lookupTimer + "r1 = r6\nr1 += 16\nr2 = map[6]\nr3 = 1\ncall 169" + out, BadMap, ""},
	})
}

func TestIterators(t *testing.T) {
	const begin = "r1 = r10\nr1 += -8\nr2 = 0\nr3 = 10\ncall bpf_iter_num_new\n"
	const next = "r1 = r10\nr1 += -8\ncall bpf_iter_num_next\n"
	const end = "r1 = r10\nr1 += -8\ncall bpf_iter_num_destroy\n"
	checkShapes(t, []shape{
		{"begun and ended", "xdp", begin + end + out, "", ""},
		{"leaked", "xdp", begin + out, Unreleased, ""},
		{"loop", "xdp", begin + "r6 = 0\nagain:\n" + next + "if r0 == 0 goto done\nr1 = *(u32 *)(r0 +0)\nr6 += r1\ngoto again\ndone:\n" + end + out, "", ""},
		{"number may be null", "xdp", begin + next + "r6 = *(u32 *)(r0 +0)\n" + end + out, NotPointer, ""},
		{"number written", "xdp", begin + next + "if r0 == 0 goto done\n*(u32 *)(r0 +0) = 1\ndone:\n" + end + out, ReadOnly, ""},
		{"number after the end", "xdp", begin + next + "r6 = r0\n" + end + "if r6 == 0 goto out\nr0 = *(u32 *)(r6 +0)" + out, NotPointer, ""},
		{"beyond the number", "xdp", begin + next + "if r0 == 0 goto done\nr1 = *(u32 *)(r0 +4)\ndone:\n" + end + out, OutOfBounds, ""},
		{"next of none", "xdp", next + out, BadArgument, ""},
		{"destroyed twice", "xdp", begin + end + end + out, BadArgument, ""},
		{"begun twice", "xdp", begin + begin + end + out, BadArgument, ""},
		{"iterator read", "xdp", begin + "r6 = *(u64 *)(r10 -8)\n" + end + out, BadPointer, ""},
		{"iterator overwritten", "xdp", begin + "*(u8 *)(r10 -3) = 0\n" + end + out, BadPointer, ""},
		{"iterator passed as memory", "xdp", begin + `
			*(u64 *)(r10 -16) = 0
			r2 = r10
			r2 += -16
			r3 = r10
			r3 += -8
			r1 = map[1]
			r4 = 0
			call 2
			` + end + out, BadPointer, ""},
		{"not on the stack", "xdp", "r1 = map[10][0]+0\nr2 = 0\nr3 = 10\ncall bpf_iter_num_new" + out, BadArgument, ""},
		{"misplaced", "xdp", "r1 = r10\nr1 += -12\nr2 = 0\nr3 = 10\ncall bpf_iter_num_new" + out, BadArgument, ""},
		{"loop that never looks at the end", "xdp", begin + "again:\n" + next + "call 7\nif r0 != 5 goto again\n" + end + out, Unbounded, ""},
		{"nested", "xdp", begin + `
		outer:
			r1 = r10
			r1 += -8
			call bpf_iter_num_next
			if r0 == 0 goto done
			r1 = r10
			r1 += -16
			r2 = 0
			r3 = 5
			call bpf_iter_num_new
		inner:
			r1 = r10
			r1 += -16
			call bpf_iter_num_next
			if r0 != 0 goto inner
			r1 = r10
			r1 += -16
			call bpf_iter_num_destroy
			goto outer
		done:
			` + end + out, "", ""},
		{"remade in its loop", "xdp", begin + "again:\n" + next + "if r0 == 0 goto done\n" + end + begin + "goto again\ndone:\n" + end + out, Unbounded,
			"the kernel takes any loop round bpf_iter_num_next to end; this one does not"},
	})
}

func TestSections(t *testing.T) {
	checkShapes(t, []shape{
		{"rcu", "xdp", "call bpf_rcu_read_lock\ncall bpf_rcu_read_unlock" + out, "", ""},
		{"rcu held at exit", "xdp", "call bpf_rcu_read_lock" + out, Locked, ""},
		{"rcu released, not held", "xdp", "call bpf_rcu_read_unlock" + out, Locked, ""},
		{"rcu nested", "xdp", "call bpf_rcu_read_lock\ncall bpf_rcu_read_lock\ncall bpf_rcu_read_unlock\ncall bpf_rcu_read_unlock" + out, Locked, ""},
		{"preemption", "xdp", "call bpf_preempt_disable\ncall bpf_preempt_disable\ncall bpf_preempt_enable\ncall bpf_preempt_enable" + out, "", ""},
		{"preemption enabled too often", "xdp", "call bpf_preempt_disable\ncall bpf_preempt_enable\ncall bpf_preempt_enable" + out, Locked, ""},
		{"preemption disabled at exit", "xdp", "call bpf_preempt_disable\ncall bpf_preempt_disable\ncall bpf_preempt_enable" + out, Locked, ""},
		{"sleep", "syscall", "r1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\ncall 148" + out, "", ""},
		{"sleep without leave", "xdp", "r1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\ncall 148" + out, Sleeps, ""},
		{"sleep in rcu", "syscall", "call bpf_rcu_read_lock\nr1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\ncall 148\ncall bpf_rcu_read_unlock" + out, Sleeps, ""},
		{"sleep without preemption", "syscall", "call bpf_preempt_disable\nr1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\ncall 148\ncall bpf_preempt_enable" + out, Sleeps, ""},
		{"map for programs that do not sleep", "syscall", "r1 = map[11]" + out, BadMap, ""},
	})
}

func TestThrow(t *testing.T) {
	checkShapes(t, []shape{
		{"main program", "sched_cls", "r1 = 0\ncall bpf_throw\nexit", "", ""},
		{"from a subprogram", "sched_cls", "call f\nr0 = 0\nexit\nf:\nr1 = 5\ncall bpf_throw\nexit", "", ""},
		{"holding a reference", "sched_cls", "r1 = map[2]\nr2 = 8\nr3 = 0\ncall 131\nr1 = 0\ncall bpf_throw\nexit", Unreleased, ""},
		{"holding a caller's reference", "sched_cls", "r1 = map[2]\nr2 = 8\nr3 = 0\ncall 131\ncall f\nr0 = 0\nexit\nf:\nr1 = 0\ncall bpf_throw\nexit", Unreleased, ""},
		{"in a callback", "sched_cls", "r1 = 4\nr2 = subprog[body]\nr3 = 0\nr4 = 0\ncall 181\nr0 = 0\nexit\nbody:\nr1 = 0\ncall bpf_throw\nexit", BadArgument, ""},
		{"in rcu", "sched_cls", "call bpf_rcu_read_lock\nr1 = 0\ncall bpf_throw\nexit", Locked, ""},
	})
}

func TestDynptrs(t *testing.T) {
	const reserve = "r1 = map[2]\nr2 = 64\nr3 = 0\nr4 = r10\nr4 += -16\ncall 198\n"
	const slice = "r1 = r10\nr1 += -16\nr2 = 0\nr3 = 8\ncall 203\n"
	const submit = "r1 = r10\nr1 += -16\nr2 = 0\ncall 199\n"
	const local = "r1 = map[10][0]+0\nr2 = 32\nr3 = 0\nr4 = r10\nr4 += -16\ncall 197\n"
	checkShapes(t, []shape{
		{"reserved and submitted", "xdp", reserve + submit + out, "", ""},
		{"reserved and discarded", "xdp", reserve + "r1 = r10\nr1 += -16\nr2 = 0\ncall 200\n" + out, "", ""},
		{"leaked", "xdp", reserve + out, Unreleased, ""},
		{"submitted twice", "xdp", reserve + submit + submit + out, BadArgument, ""},
		{"slice", "xdp", reserve + slice + "if r0 == 0 goto done\n*(u64 *)(r0 +0) = 1\ndone:\n" + submit + out, "", ""},
		{"slice may be null", "xdp", reserve + slice + "*(u64 *)(r0 +0) = 1\n" + submit + out, NullPointer, ""},
		{"beyond the slice", "xdp", reserve + slice + "if r0 == 0 goto done\n*(u64 *)(r0 +1) = 1\ndone:\n" + submit + out, OutOfBounds, ""},
		{"slice after submission", "xdp", reserve + slice + "r6 = r0\n" + submit + "if r6 == 0 goto out\n*(u64 *)(r6 +0) = 1" + out, NotPointer, ""},
		{"slice of unknown size", "xdp", reserve + "call 7\nr3 = r0\nr3 &= 7\nr1 = r10\nr1 += -16\nr2 = 0\ncall 203\n" + submit + out, BadArgument, ""},
		{"overwritten", "xdp", reserve + "*(u64 *)(r10 -8) = 0\n" + submit + out, BadPointer, ""},
		{"read", "xdp", reserve + "r6 = *(u64 *)(r10 -8)\n" + submit + out, BadPointer, ""},
		{"half of one", "xdp", reserve + "r1 = r10\nr1 += -8\nr2 = 0\ncall 199" + out, BadArgument, ""},
		{"none", "xdp", submit + out, BadArgument, ""},
		{"reserved over one", "xdp", reserve + reserve + submit + out, BadArgument, ""},
		{"local", "xdp", local + slice + "if r0 == 0 goto out\n*(u64 *)(r0 +0) = 1" + out, "", ""},
		{"local submitted", "xdp", local + submit + out, BadArgument, ""},
		{"local over the stack", "xdp", "r1 = r10\nr1 += -48\nr2 = 32\nr3 = 0\nr4 = r10\nr4 += -16\ncall 197" + out, BadArgument, ""},
		{"local replaced", "xdp", local + slice + "r6 = r0\n" + local + "if r6 == 0 goto out\n*(u64 *)(r6 +0) = 1" + out, NotPointer, ""},
		{"local overwritten", "xdp", local + slice + "r6 = r0\n*(u64 *)(r10 -8) = 0\nif r6 == 0 goto out\n*(u64 *)(r6 +0) = 1" + out, NotPointer, ""},
		{"local overwritten and done with", "xdp", local + "*(u64 *)(r10 -8) = 0\n*(u64 *)(r10 -16) = 0\nr0 = *(u64 *)(r10 -8)" + out, "", ""},
		{"read into the stack", "xdp", local + "r1 = r10\nr1 += -32\nr2 = 8\nr3 = r10\nr3 += -16\nr4 = 0\nr5 = 0\ncall 201\nr0 = *(u64 *)(r10 -32)" + out, "", ""},
		{"read into itself", "xdp", local + "r1 = r10\nr1 += -20\nr2 = 8\nr3 = r10\nr3 += -16\nr4 = 0\nr5 = 0\ncall 201" + out, BadPointer, ""},
		{"written", "xdp", "*(u64 *)(r10 -32) = 0\n" + local + "r1 = r10\nr1 += -16\nr2 = 0\nr3 = r10\nr3 += -32\nr4 = 8\nr5 = 0\ncall 202" + out, "", ""},
	})
}

func TestStackDepth(t *testing.T) {
	two := func(a, b string) string {
		return "*(u8 *)(r10 -" + a + ") = 0\ncall f\nr0 = 0\nexit\nf:\n*(u8 *)(r10 -" + b + ") = 0\nr0 = 0\nexit"
	}
	chain := func(n int) string {
		var s strings.Builder
		for i := range n - 1 {
			s.WriteString("f" + strconv.Itoa(i) + ":\ncall f" + strconv.Itoa(i+1) + "\nr0 = 0\nexit\n")
		}
		return s.String() + "f" + strconv.Itoa(n-1) + ":\nr0 = 0\nexit"
	}
	tail := func(above string) string {
		return "*(u8 *)(r10 -" + above + `) = 0
			call f
			r0 = 0
			exit
		f:
			r2 = map[7]
			r3 = 0
			call 12
			r0 = 0
			exit`
	}
	checkShapes(t, []shape{
		{"256 and 256", "xdp", two("256", "256"), "", ""},
		{"248 and 264", "xdp", two("248", "264"), StackDepth, ""},
		{"512 and none", "xdp", two("512", "1"), StackDepth, ""},
		{"8 frames", "xdp", chain(8), "", ""},
		{"9 frames", "xdp", chain(9), StackDepth, ""},
		{"recursion", "xdp", "call f\nr0 = 0\nexit\nf:\ncall f\nr0 = 0\nexit", Recursion, ""},
		{"tail call below 240", "xdp", tail("240"), "", ""},
		{"tail call below 256", "xdp", tail("256"), StackDepth, ""},
		{"memory of helpers counts", "xdp", `
			*(u8 *)(r10 -256) = 0
			call f
			r0 = 0
			exit
		f:
			r1 = r10
			r1 += -272
			r2 = 16
			r3 = 0
			call 113
			r0 = 0
			exit`, StackDepth, ""},
	})
}

func TestCallbacks(t *testing.T) {
	loop := func(body string) string {
		return "r1 = 4\nr2 = subprog[body]\nr3 = 0\nr4 = 0\ncall 181\nr0 = 0\nexit\nbody:\n" + body
	}
	checkShapes(t, []shape{
		{"returns 1", "xdp", loop("r0 = 1\nexit"), "", ""},
		{"returns 2", "xdp", loop("r0 = 2\nexit"), BadReturn, ""},
		{"returns its context", "xdp", loop("r0 = r2\nexit"), "", ""},
		{"returns an address", "xdp", loop("r0 = r10\nexit"), BadReturn, ""},
		{"returns nothing", "xdp", loop("exit"), Unreadable, ""},
		{"leaks a reference", "xdp", loop("r1 = map[2]\nr2 = 8\nr3 = 0\ncall 131\nr0 = 0\nexit"), Unreleased, ""},
		{"balanced reference", "xdp", loop("r1 = map[2]\nr2 = 8\nr3 = 0\ncall 131\nif r0 == 0 goto +3\nr1 = r0\nr2 = 0\ncall 132\nr0 = 0\nexit"), "", ""},
		{"reads more than it gets", "xdp", loop("r0 = r3\nr0 = 0\nexit"), Unreadable, ""},
		{"no function", "xdp", "r1 = 4\nr2 = 8\nr3 = 0\nr4 = 0\ncall 181" + out, BadArgument, ""},
		{"its context on the stack", "xdp", `
			*(u64 *)(r10 -8) = 0
			r1 = 4
			r2 = subprog[body]
			r3 = r10
			r3 += -8
			r4 = 0
			call 181
			r1 = map[0]
			r2 = r10
			r2 += -4
			*(u32 *)(r10 -4) = 0
			r0 = 0
			exit
		body:
			r1 = *(u64 *)(r2 +0)
			r1 += 1
			*(u64 *)(r2 +0) = r1
			r0 = 0
			exit`, "", ""},
		{"a count from the callback as an index", "xdp", `
			*(u64 *)(r10 -8) = 0
			r1 = 100
			r2 = subprog[body]
			r3 = r10
			r3 += -8
			r4 = 0
			call 181
			r1 = *(u64 *)(r10 -8)
			r2 = map[10][0]+0
			r2 += r1
			r0 = *(u8 *)(r2 +0)
			r0 = 0
			exit
		body:
			r1 = *(u64 *)(r2 +0)
			r1 += 1
			*(u64 *)(r2 +0) = r1
			r0 = 0
			exit`, OutOfBounds, ""},
	})
}

func TestTailCalls(t *testing.T) {
	checkShapes(t, []shape{
		{"main program", "xdp", "r2 = map[7]\nr3 = 1\ncall 12" + out, "", ""},
		{"any index", "xdp", "r6 = r1\ncall 7\nr1 = r6\nr2 = map[7]\nr3 = r0\ncall 12" + out, "", ""},
		{"index beyond the map", "xdp", "r2 = map[7]\nr3 = 100\ncall 12" + out, "", ""},
		{"result read", "xdp", "r2 = map[7]\nr3 = 1\ncall 12\nexit", Unreadable, ""},
		{"other map", "xdp", "r2 = map[0]\nr3 = 1\ncall 12" + out, BadArgument, ""},
		{"not the context", "xdp", "r1 = r10\nr2 = map[7]\nr3 = 1\ncall 12" + out, BadArgument, ""},
		{"holding a reference", "xdp", "r6 = r1\nr1 = map[2]\nr2 = 8\nr3 = 0\ncall 131\nr1 = r6\nr2 = map[7]\nr3 = 1\ncall 12" + out, Unreleased, ""},
		{"in rcu", "xdp", "r6 = r1\ncall bpf_rcu_read_lock\nr1 = r6\nr2 = map[7]\nr3 = 1\ncall 12\ncall bpf_rcu_read_unlock" + out, Locked, ""},
	})
}

func TestCallThroughRegister(t *testing.T) {
	const refused = "the kernel has no calls through registers"
	checkShapes(t, []shape{
		{"subprogram", "xdp", "r6 = subprog[f]\nr1 = 3\ncallx r6\nr2 = map[10][0]+0\nr2 += r0\nr0 = *(u8 *)(r2 +0)\nr0 = 0\nexit\nf:\nr0 = r1\nexit", "", refused},
		{"subprogram that does harm", "xdp", "r6 = subprog[f]\nr1 = 3\ncallx r6\nexit\nf:\nr0 = *(u8 *)(r1 +0)\nexit", NotPointer, ""},
		{"helper", "xdp", "r6 = 7\ncallx r6\nexit", "", refused},
		{"helper leaves arguments unreadable", "xdp", "r6 = 7\nr1 = 1\ncallx r6\nr0 = r1\nexit", Unreadable, ""},
		{"no helper", "xdp", "r6 = 9999\ncallx r6\nexit", UnknownCallee, ""},
		{"unknown number", "xdp", "call 7\nr6 = r0\ncallx r6\nexit", BadArgument, ""},
		{"one of two helpers", "xdp", "call 7\nr6 = 7\nif r0 > 5 goto +1\nr6 = 8\ncallx r6\nexit", "", refused},
		{"data", "xdp", "r6 = map[10][0]+0\ncallx r6\nexit", BadArgument, ""},
		{"recursion", "xdp", "call f\nr0 = 0\nexit\nf:\nr6 = subprog[f]\ncallx r6\nr0 = 0\nexit", Recursion, ""},
	})
}

func TestMapHelpers(t *testing.T) {
	with := func(call string) string {
		return "*(u64 *)(r10 -8) = 1\nr2 = r10\nr2 += -8\nr3 = r2\nr4 = 0\n" + call + out
	}
	checkShapes(t, []shape{
		{"lookup in a trie", "xdp", with("r1 = map[11]\ncall 1"), "", ""},
		{"lookup in a prog array", "xdp", with("r1 = map[7]\ncall 1"), BadArgument, ""},
		{"lookup in a ring buffer", "xdp", with("r1 = map[2]\ncall 1"), BadArgument, ""},
		{"push to an array", "xdp", with("r1 = map[10]\nr3 = 0\ncall 87"), BadArgument, ""},
		{"update of a prog array", "xdp", with("r1 = map[7]\ncall 2"), BadArgument, ""},
		{"deletion from a map of maps", "xdp", with("r1 = map[9]\ncall 3"), BadArgument, ""},
		{"ring buffer output to a hash", "xdp", "*(u64 *)(r10 -8) = 1\nr2 = r10\nr2 += -8\nr3 = 8\nr4 = 0\nr1 = map[1]\ncall 130" + out, BadArgument, ""},
		{"redirect through a hash", "xdp", "r1 = map[1]\nr2 = 0\nr3 = 0\ncall 51" + out, BadArgument, ""},
		{"socket storage in a hash", "sched_cls", `
			r2 = *(u64 *)(r1 +168)
			if r2 == 0 goto out
			r1 = map[1]
			r3 = 0
			r4 = 0
			call 107` + out, BadArgument, ""},
	})
}

// TestSockets checks references to host objects: acquired, released, cast.
func TestSockets(t *testing.T) {
	const lookup = `
		r6 = r1
		*(u64 *)(r10 -8) = 0
		*(u32 *)(r10 -12) = 0
		r2 = r10
		r2 += -12
		r3 = 12
		r4 = -1
		r5 = 0
		call 84
	`
	const release = "r1 = r0\ncall 86\n"
	checkShapes(t, []shape{
		{"released", "sched_cls", lookup + "if r0 == 0 goto out\n" + release + out, "", ""},
		{"leaked", "sched_cls", lookup + "if r0 == 0 goto out" + out, Unreleased, ""},
		{"leaked unchecked", "sched_cls", lookup + out, Unreleased, ""},
		{"released unchecked", "sched_cls", lookup + release + out, NullPointer, ""},
		{"released twice", "sched_cls", lookup + "if r0 == 0 goto out\nr7 = r0\nr1 = r7\ncall 86\nr1 = r7\ncall 86" + out, BadArgument, ""},
		{"read after the release", "sched_cls", lookup + "if r0 == 0 goto out\nr7 = r0\nr1 = r7\ncall 86\nr0 = *(u32 *)(r7 +4)" + out, NotPointer, ""},
		{"cast read after the release", "sched_cls", lookup + "if r0 == 0 goto out\nr7 = r0\nr1 = r7\ncall 96\nr8 = r0\nr1 = r7\ncall 86\nif r8 == 0 goto out\nr0 = *(u32 *)(r8 +0)" + out, NotPointer, ""},
		{"cast read before the release", "sched_cls", lookup + "if r0 == 0 goto out\nr7 = r0\nr1 = r7\ncall 96\nif r0 == 0 goto done\nr1 = *(u32 *)(r0 +0)\ndone:\nr1 = r7\ncall 86" + out, "", ""},
		{"released through the cast", "sched_cls", lookup + "if r0 == 0 goto out\nr7 = r0\nr1 = r7\ncall 95\nif r0 == 0 goto done\nr1 = r0\ncall 86\ngoto out\ndone:\nr1 = r7\ncall 86" + out, "", ""},
		{"its listener released instead", "sched_cls", lookup + "if r0 == 0 goto out\nr7 = r0\nr1 = r7\ncall 98\nif r0 == 0 goto done\nr1 = r0\ncall 86\ngoto out\ndone:\nr1 = r7\ncall 86" + out, BadArgument, ""},
		{"the context's socket released", "sched_cls", "r1 = *(u64 *)(r1 +168)\nif r1 == 0 goto out\ncall 86" + out, BadArgument, ""},
		{"written", "sched_cls", lookup + "if r0 == 0 goto out\nr7 = r0\n*(u32 *)(r7 +4) = 1\nr1 = r7\ncall 86" + out, BadContext, ""},
		{"moved and released", "sched_cls", lookup + "if r0 == 0 goto out\nr0 += 4\n" + release + out, BadArithmetic, ""},
		{"stack as a socket", "sched_cls", "r1 = r10\nr1 += -8\ncall 86" + out, BadArgument, ""},
	})
}

func TestTailCallsInSubprograms(t *testing.T) {
	packet := func(after string) string {
		return `
			r6 = r1
			r7 = *(u32 *)(r6 +0)
			r2 = *(u32 *)(r6 +4)
			r1 = r7
			r1 += 14
			if r1 > r2 goto out
			r1 = r6
			call f
			` + after + `
		out:
			r0 = 0
			exit
		f:
			r2 = map[7]
			r3 = 1
			call 12
			r0 = 1
			exit`
	}
	checkShapes(t, []shape{
		{"packet not used again", "xdp", packet(""), "", ""},
		{"packet used again", "xdp", packet("r0 = *(u8 *)(r7 +0)"), NotPointer, ""},
		{"result as an index", "xdp", packet("r2 = map[10][0]+0\nr2 += r0\nr0 = *(u8 *)(r2 +0)"), OutOfBounds, ""},
		{"in a callback", "xdp", "r6 = r1\n*(u64 *)(r10 -8) = r6\nr1 = 4\nr2 = subprog[body]\nr3 = r10\nr3 += -8\nr4 = 0\ncall 181\nr0 = 0\nexit\nbody:\nr1 = *(u64 *)(r2 +0)\nr2 = map[7]\nr3 = 1\ncall 12\nr0 = 0\nexit", Unsupported, ""},
	})
}

// TestLicense checks the rule that is enforced on request only.
func TestLicense(t *testing.T) {
	for license, ok := range map[string]bool{"GPL": true, "Dual BSD/GPL": true, "Dual MIT/GPL": true, "Proprietary": false, "MIT": false, "": false} {
		p, _, _ := construct(t, "xdp", "call 35\nr0 = 0\nexit")
		p.License = license
		if _, _, err := Verify(context.Background(), p, Options{CheckLicense: true}); (err == nil) != ok {
			t.Errorf("license %q: %v", license, err)
		}
		if _, _, err := Verify(context.Background(), p, Options{}); err != nil {
			t.Errorf("license %q, not asked for: %v", license, err)
		}
	}
}

func TestContextAccess(t *testing.T) {
	checkShapes(t, []shape{
		{"packet pointer loaded in half", "xdp", "r2 = *(u16 *)(r1 +0)" + out, BadContext, ""},
		{"packet pointer sign-extended", "xdp", "r2 = *(s32 *)(r1 +0)" + out, BadContext, ""},
		{"packet pointer overwritten", "xdp", "*(u32 *)(r1 +0) = 0" + out, BadContext, ""},
		{"two fields at once", "xdp", "r2 = *(u64 *)(r1 +8)" + out, BadContext, ""},
		{"past the end", "xdp", "r2 = *(u32 *)(r1 +24)" + out, BadContext, ""},
		{"before the start", "xdp", "r2 = *(u32 *)(r1 -4)" + out, BadContext, ""},
		{"misaligned", "sched_cls", "r2 = *(u32 *)(r1 +2)" + out, BadContext, ""},
		{"narrow load", "sched_cls", "r2 = *(u16 *)(r1 +8)" + out, "", ""},
		{"narrow store", "sched_cls", "*(u16 *)(r1 +8) = 1" + out, BadContext, ""},
		{"store to the mark", "sched_cls", "*(u32 *)(r1 +8) = 1" + out, "", ""},
		{"store to the mark of a socket filter", "socket_filter", "*(u32 *)(r1 +8) = 1" + out, BadContext, ""},
		{"store to the length", "sched_cls", "*(u32 *)(r1 +0) = 1" + out, BadContext, ""},
		{"packet pointer of a socket filter", "socket_filter", "r2 = *(u32 *)(r1 +76)" + out, BadContext, ""},
		{"bytes of the control block", "sched_cls", "*(u8 *)(r1 +49) = 1\nr2 = *(u64 *)(r1 +48)" + out, "", ""},
		{"moved and moved back", "sched_cls", "r1 += 4\nr1 += -4\nr2 = *(u32 *)(r1 +0)" + out, "", ""},
		{"moved", "sched_cls", "r1 += 4\nr2 = *(u32 *)(r1 +0)" + out, BadContext, ""},
		{"moved by a variable", "sched_cls", "r6 = r1\ncall 7\nr0 &= 4\nr6 += r0\nr2 = *(u32 *)(r6 +0)" + out, BadContext, ""},
		{"atomic", "sched_cls", "r2 = 1\nlock *(u32 *)(r1 +8) += r2" + out, BadPointer, ""},
		{"pointer stored", "sched_cls", "*(u64 *)(r1 +48) = r10" + out, "", ""}, // a leak, which the strict rules refuse
		{"socket that may be null", "sched_cls", "r2 = *(u64 *)(r1 +168)\nr0 = *(u32 *)(r2 +0)" + out, NullPointer, ""},
		{"socket sign-extended", "sched_cls", "r2 = *(s32 *)(r1 +168)" + out, BadContext, ""},
		{"any offset of a syscall's", "syscall", "r2 = *(u32 *)(r1 +1000)\n*(u8 *)(r1 +3) = 1" + out, "", ""},
		{"registers of a kprobe", "kprobe", "r2 = *(u64 *)(r1 +112)\nr3 = *(u8 *)(r1 +113)" + out, "", ""},
		{"beyond the registers of a kprobe", "kprobe", "r2 = *(u64 *)(r1 +168)" + out, BadContext, ""},
		{"store to the registers of a kprobe", "kprobe", "*(u64 *)(r1 +112) = 1" + out, BadContext, ""},
	})
}

// TestArmsThatMeet has branches whose results belong together: where they meet
// the offset of one must not be taken with the size of the other.
func TestArmsThatMeet(t *testing.T) {
	const memory = "*(u64 *)(r10 -16) = 0\n*(u64 *)(r10 -8) = 0\ncall 7\n"
	const sum = "r3 = 0\nr4 = 0\nr5 = 0\ncall 28" + out
	checkShapes(t, []shape{
		{"constants", "xdp", memory + "r1 = r10\nr1 += -16\nr2 = 16\nif r0 == 0 goto +3\nr1 = r10\nr1 += -8\nr2 = 8\n" + sum, "", ""},
		{"ranges", "xdp", memory + "r6 = r0\ncall 7\nr1 = r10\nr2 = r6\nr2 &= 8\nr2 += 8\nif r0 == 0 goto +3\nr1 += -16\nr2 &= 12\ngoto +3\nr2 = r6\nr2 &= 4\nr1 += -8\n" + sum, "", ""},
		{"too far", "xdp", memory + "r1 = r10\nr1 += -16\nr2 = 20\nif r0 == 0 goto +3\nr1 = r10\nr1 += -8\nr2 = 8\n" + sum, OutOfBounds, ""},
	})
}

// TestStackRemembers has stack slots whose contents survive what happens to
// them: a pointer that an atomic operation fetches, zeros over which zeros are
// written somewhere.
func TestStackRemembers(t *testing.T) {
	const smear = "*(u64 *)(r10 -8) = %s\ncall 7\nr1 = r10\nr0 &= 7\nr1 += -8\nr1 += r0\n*(u8 *)(r1 +0) = %s\nr0 = *(u8 *)(r10 -8)\nr2 = map[10][0]+0\nr2 += r0\nr0 = *(u8 *)(r2 +63)" + out
	checkShapes(t, []shape{
		{"fetched pointer", "xdp", "r0 = r10\n*(u64 *)(r10 -8) = r0\nr1 = 0\nr0 = atomic64_cmpxchg((u64 *)(r10 -8), r0, r1)\nr1 = *(u64 *)(r0 -8)" + out, "", ""},
		{"exchanged pointer", "xdp", "*(u64 *)(r10 -8) = r10\nr1 = 0\nr1 = xchg_64(r10 - 8, r1)\nr0 = *(u64 *)(r1 -8)" + out, "", ""},
		{"what is left of it", "xdp", "*(u64 *)(r10 -8) = r10\nr1 = 1\nlock *(u64 *)(r10 -8) += r1\nr1 = *(u64 *)(r10 -8)\nr0 = *(u64 *)(r1 -8)" + out, NotPointer, ""},
		{"number made of one", "xdp", "*(u64 *)(r10 -8) = r10\nr1 = 1\nr1 = atomic64_fetch_add((u64 *)(r10 -8), r1)\nr1 *= r1" + out, BadArithmetic, ""},
		{"half of one", "xdp", "*(u64 *)(r10 -8) = r10\nr1 = 1\nw1 = xchg32_32(r10 - 8, w1)\nr0 = *(u8 *)(r1 +0)" + out, NotPointer, ""},
		{"zeros", "xdp", fmt.Sprintf(smear, "0", "0"), "", ""},
		{"a one among zeros", "xdp", fmt.Sprintf(smear, "0", "1"), OutOfBounds, ""},
		{"zeros among ones", "xdp", fmt.Sprintf(smear, "1", "0"), OutOfBounds, ""},
	})
}

// TestDifferences subtracts numbers of which one is known to be the smaller.
func TestDifferences(t *testing.T) {
	const kernel = "the kernel does not compare numbers with each other"
	const access = "r3 += r10\n*(u8 *)(r3 -512) = 1\nno:" + out
	checkShapes(t, []shape{
		{"after a comparison", "xdp", "call 7\nr3 = r0\nr3 &= 63\nr0 >>= 17\nif r0 > r3 goto no\nr3 -= r0\n" + access, "", kernel},
		{"the other way", "xdp", "call 7\nr3 = r0\nr3 &= 63\nr0 >>= 17\nif r0 > r3 goto no\nr0 -= r3\nr3 = r0\n" + access, OutOfBounds, ""},
		{"with its half", "xdp", "call 7\nr3 = r0\nr3 &= 63\nif r3 == 9 goto no\nr1 = r3\nr1 >>= 1\nr3 -= r1\n" + access, "", kernel},
		{"of unsigned numbers that are negative", "xdp", "r1 = map[10][0]+0\nr3 = *(u64 *)(r1 +0)\nr0 = *(u64 *)(r1 +8)\nif r0 > r3 goto no\nr3 -= r0\nif r3 s> 63 goto no\n" + access, OutOfBounds, ""},
	})
}

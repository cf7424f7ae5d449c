package vm_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// Program types as the kernel numbers them (enum bpf_prog_type, bpf_attach_type).
var socketTypes = []struct {
	typ            *hook.Type
	kernel, attach uint32
}{
	{linux.SocketFilter, 1, 0}, {linux.SchedCls, 3, 0}, {linux.SchedAct, 4, 0}, {linux.XDP, 6, 0}, {linux.CgroupSkb, 8, 0},
	{linux.SockOps, 13, 3}, {linux.SkSkb, 14, 0}, {linux.SkMsg, 16, 7}, {linux.RawTracepoint, 17, 0}, {linux.SkReuseport, 21, 39},
	{linux.FlowDissector, 22, 17}, {linux.SkLookup, 30, 36}, {linux.Syscall, 31, 0},
}

// TestKernelSocketRules compares what programs of each type may do with maps of
// sockets: look up, hold, give back, store, remove, redirect.
func TestKernelSocketRules(t *testing.T) {
	oracle.Skip(t)
	const (
		key     = "*(u64 *)(r10 -8) = 0\n*(u64 *)(r10 -16) = 0\nr6 = r1\nr2 = r10\nr2 += -8\nr1 = map[0]\n"
		lookup  = key + "call 1\nif r0 == 0 goto out\nr7 = r0\n"
		release = "r1 = r7\ncall 86\n"
		out     = "out: r0 = 0\nexit"
		again   = "r1 = map[0]\nr2 = r10\nr2 += -8\n"
	)
	helper := func(id int, arg2, arg3, arg4 string) string {
		return key + fmt.Sprintf("r1 = r6\nr2 = %s\nr3 = %s\nr4 = %s\ncall %d\n", arg2, arg3, arg4, id) + out
	}
	texts := map[string]string{
		"lookup":              lookup + release + out,
		"lookup and read":     lookup + "r1 = *(u32 *)(r7 +4)\n" + release + out,
		"lookup and write":    lookup + "*(u32 *)(r7 +16) = 1\n" + release + out,
		"lookup and keep":     lookup + out,
		"use after release":   lookup + release + "r1 = *(u32 *)(r7 +4)\n" + out,
		"read the queue":      lookup + "r1 = *(u32 *)(r7 +0)\n" + out,
		"store":               lookup + again + "r3 = r7\nr4 = 0\ncall 2\n" + release + out,
		"store and keep":      lookup + again + "r3 = r7\nr4 = 0\ncall 2\n" + out,
		"store after release": lookup + release + again + "r3 = r7\nr4 = 0\ncall 2\n" + out,
		"store inside":        lookup + again + "r3 = r7\nr3 += 4\nr4 = 0\ncall 2\n" + release + out,
		"store memory":        key + "r3 = r10\nr3 += -16\nr4 = 0\ncall 2\n" + out,
		"store null":          key + "r3 = 0\nr4 = 0\ncall 2\n" + out,
		"store the context's": key + "r3 = *(u64 *)(r6 +%d)\nif r3 == 0 goto out\nr4 = 0\ncall 2\n" + out,
		"delete":              key + "call 3\n" + out,
		"sk_redirect_map":     helper(52, "map[0]", "0", "0"),
		"sk_redirect_hash":    helper(72, "map[0]", "r10\nr3 += -8", "0"),
		"msg_redirect_map":    helper(60, "map[0]", "0", "0"),
		"msg_redirect_hash":   helper(71, "map[0]", "r10\nr3 += -8", "0"),
		"sock_map_update":     helper(53, "map[0]", "r10\nr3 += -8", "0"),
		"sock_hash_update":    helper(70, "map[0]", "r10\nr3 += -8", "0"),
		"sk_select_reuseport": helper(82, "map[0]", "r10\nr3 += -8", "0"),
	}
	accepted, count := 0, 0
	for _, spec := range []maps.Spec{
		{Type: maps.SockMap, ValueSize: 4}, {Type: maps.SockMap, ValueSize: 8}, {Type: maps.SockHash, ValueSize: 8},
		{Type: maps.ReuseportSockArray, ValueSize: 8}, {Type: maps.XSKMap, ValueSize: 4},
	} {
		spec.Name, spec.KeySize, spec.MaxEntries = "m", 4, 4
		theirs, err := oracle.NewMap(&spec, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer theirs.Close()
		for _, typ := range socketTypes {
			for name, text := range texts {
				if strings.Contains(text, "%d") {
					f := typ.typ.Ctx.Field("sk")
					if f == nil {
						continue
					}
					text = fmt.Sprintf(text, f.Off)
				}
				count++
				insns := assemble(t, text)
				kernel, log, want := oracle.Load(oracle.LoadOptions{Type: typ.kernel, Attach: typ.attach, Insns: insns, Maps: []*oracle.Map{theirs}})
				if want == nil {
					kernel.Close()
					accepted++
				}
				p, err := prog.FromInsns("p", typ.typ, insns, []*maps.Spec{&spec})
				if err != nil {
					t.Fatal(err)
				}
				c, got := vm.LoadProgram(p, vm.Options{})
				if got == nil {
					c.Close()
				}
				if (got == nil) != (want == nil) {
					t.Errorf("%v, value size %d, %s, %s: %v; the kernel: %v\n%s", spec.Type, spec.ValueSize, typ.typ.Name, name, got, want, log)
				}
			}
		}
	}
	t.Logf("%d programs, %d accepted", count, accepted)
	if accepted < count/20 {
		t.Errorf("the kernel accepts %d of %d programs only", accepted, count)
	}
}

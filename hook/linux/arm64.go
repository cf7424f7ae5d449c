package linux

import (
	"fmt"
	"slices"

	"github.com/skepvm/skep/hook"
)

// PlatformARM64 is Platform for objects that were compiled for arm64
// (-D__TARGET_ARCH_arm64): programs at probes and samples see its registers,
// struct user_pt_regs (arch/arm64/include/uapi/asm/ptrace.h), and not those of
// x86-64. All else is the same.
var PlatformARM64 hook.Platform = arm64{platform{}}

type arm64 struct{ platform }

// regsARM64 is what programs see of arm64's registers: 31, and then these.
const regsARM64 = 272

func registersARM64(read hook.Widths) (fs []hook.Field) {
	for i := range uint32(31) {
		fs = append(fs, hook.Field{Name: fmt.Sprintf("regs[%d]", i), Off: 8 * i, Size: 8, Read: read})
	}
	for i, name := range []string{"sp", "pc", "pstate"} {
		fs = append(fs, hook.Field{Name: name, Off: 248 + 8*uint32(i), Size: 8, Read: read})
	}
	return fs
}

// typesARM64 holds, for each type that sees registers, its form on arm64.
var typesARM64 = func() map[*hook.Type]*hook.Type {
	kprobeCtx := hook.NewCtx("pt_regs", regsARM64+8, append(registersARM64(narrow8),
		hook.Field{Name: "orig_x0", Off: regsARM64, Size: 8, Read: narrow8})...)
	perfCtx := hook.NewCtx("bpf_perf_event_data", regsARM64+16, append(registersARM64(8),
		hook.Field{Name: "sample_period", Off: regsARM64, Size: 8, Read: narrow8},
		hook.Field{Name: "addr", Off: regsARM64 + 8, Size: 8, Read: narrow8})...)
	of := map[*hook.Type]*hook.Type{}
	for _, t := range []*hook.Type{Kprobe, kprobeSession, uprobeSession, PerfEvent} {
		a := *t
		a.Ctx = kprobeCtx
		if t == PerfEvent {
			a.Ctx = perfCtx
		}
		complete(&a)
		of[t] = &a
	}
	return of
}()

// arm returns t as it is on arm64.
func arm(t *hook.Type) *hook.Type {
	if a := typesARM64[t]; a != nil {
		return a
	}
	return t
}

func (p arm64) Types() []*hook.Type {
	types := slices.Clone(p.platform.Types())
	for i, t := range types {
		types[i] = arm(t)
	}
	return types
}

func (p arm64) Type(name string) *hook.Type { return arm(p.platform.Type(name)) }

func (p arm64) Section(name string) (hook.Section, bool) {
	s, ok := p.platform.Section(name)
	s.Type = arm(s.Type)
	return s, ok
}

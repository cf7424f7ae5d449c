package verifier

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A mutant is a wrong rule: the text in file that the wrong one replaces.
type mutant struct{ file, right, wrong string }

// mutants are wrong rules, each of which makes the verifier accept unsafe
// programs, or bound runs too low.
var mutants = []mutant{
	{"exec.go", `if v.Kind == state.Unreadable {`, `if false {`},
	{"exec.go", `if obj.Nullable {`, `if false {`},
	{"exec.go", `math.MaxUint64>>(64-uint(in.Imm))`, `math.MaxUint32`},
	{"exec.go", `return m.s.Fresh(scalar.Unsigned(0, 1<<32-1))`, `return m.s.Fresh(scalar.Unsigned(0, 1<<31-1))`},
	{"exec.go", `const maxNames = 1 << 15`, `const maxNames = 1 << 40`},
	{"exec_mem.go", `if write && obj.ReadOnly {`, `if false {`},
	{"exec_mem.go", `if p.V != state.Zero || p.C != 0 {`, `if p.V != state.Zero {`},
	{"exec_mem.go", `if m.misaligned(p, off, size) {`, `if false {`},
	{"exec_mem.go", `if n.SMin() < low {`, `if n.SMin() < low-1 {`},
	{"exec_mem.go", `if e := m.s.Num(end); e.SMax() <= m.s.Num(limit).SMin() {`, `if e := m.s.Num(end); e.SMax() <= m.s.Num(limit).SMin()+1 {`},
	{"exec_mem.go", `ok && d <= 0 {`, `ok && d <= 1 {`},
	{"exec_mem.go", `return m.s.Fresh(scalar.Unsigned(0, 1<<(8*size)-1))`, `return m.s.Fresh(scalar.Unsigned(0, 1<<(8*size-1)-1))`},
	{"exec_mem.go", `		st.Smear(lo, hi-lo)`, `		_, _ = lo, hi`},
	{"exec_mem.go", `if err := m.storeTo(p, int64(in.Off), size, m.anything(size, false)); err != nil {`, `if err := m.access(p, int64(in.Off), size, true); err != nil {`},
	{"exec_mem.go", `m.write(prog.R0, m.anything(size, false))`, `_ = size`},
	{"exec_mem.go", `int(m.s.Objs[v.Obj].Index) > f {`, `int(m.s.Objs[v.Obj].Index) < f {`},
	{"exec_mem.go", `if err := m.mayReturn(func(*state.State) state.Reg { return state.Const(0) }); err != nil {`, `if err := error(nil); err != nil {`},
	{"exec_call.go", `m.s.ForgetPacket(m.sv.o.MaxPacket)
	}`, `_ = m.sv
	}`},
	{"exec_call.go", `	for r := prog.R1; r <= prog.R5; r++ {
		m.write(r, state.Reg{})`, `	for r := prog.R1; r <= prog.R4; r++ {
		m.write(r, state.Reg{})`},
	{"exec_call.go", `f.Name == "map_lookup_elem" && m.keyInRange(c.m)`, `m.keyInRange(c.m)`},
	{"exec_call.go", `m.s.Num(key).UMax() < uint64(spec.MaxEntries)`, `m.s.Num(key).UMax() <= uint64(spec.MaxEntries)`},
	{"exec_call.go", `if n := m.s.Num(r0); n.UMax() > 1 {`, `if n := m.s.Num(r0); n.UMin() > 1 {`},
	{"exec_call.go", `min(n.UMax(), 1<<23)-1))`, `min(n.UMax(), 1<<23)-2))`},
	{"exec_call.go", `c.release = r.Obj`, `_ = r.Obj`},
	{"exec_branch.go", `return n.SMin() > -nullPage && n.SMax() < maxOffset`, `_ = n
	return true`},
	{"exec_branch.go", `ok := a, b, a.Obj == b.Obj && a.Kind == b.Kind`, `ok := a, b, a.Kind == b.Kind`},
	{"progress.go", `Place: never, Reg: state.Const(0)})`, `Place: never, Reg: state.Const(0)})
	s.Ghosts = s.Ghosts[:len(s.Ghosts)-1]`},
	{"progress.go", `return true, int64(width)/step + 1, shrinks`, `return true, int64(width) / step / 2, shrinks`},
	{"progress.go", `if r == nil || r.seen != l.ends || r.step < 0 ||`, `if r == nil || r.step < 0 ||`},
	{"progress.go", `r.step = min(r.step, step)`, `r.step = max(r.step, step)`},
	{"terminate.go", `return mulSat(addSat(bound, 1), addSat(inner, longest)), nil`, `return mulSat(bound, inner), nil`},
	{"terminate.go", `best[i] = addSat(inner, out)`, `best[i] = max(inner, out)`},
	{"liveness.go", `live.Regs = live.Regs&^dst | src
		tested.Regs &^= dst
		f.access(base`, `live.Regs = live.Regs &^ dst
		tested.Regs &^= dst
		f.access(base`},
	{"internal/state/edge.go", `	if !s.exact(v, c) {
		s.dropEdges(v)
	}`, ``},
	{"internal/state/edge.go", `if !s.exact(a.V, 0) || !s.exact(b.V, c) {`, `if false {`},
	{"internal/state/edge.go", `if sum, overflow := addInt(e.C, d); !overflow &&`, `if sum := e.C + d; sum < 1<<62 &&`},
	{"internal/state/edge.go", `return diff, (a >= 0) != (b >= 0) && (diff >= 0) != (a >= 0)`, `return diff, false`},
	{"internal/state/assume.go", `if na.UMax() > limit || nb.UMax() > limit {`, `if false {`},
	{"internal/state/assume.go", `if !nonNegative {`, `if false {`},
	{"internal/state/assume.go", `	case isa.JLe, isa.JSLe:
		return s.atMost(a, b, 0)`, `	case isa.JLe, isa.JSLe:
		return s.atMost(a, b, -1)`},
	{"internal/state/join.go", `if c, ok := s.DiffReg(match[e.X], match[e.Y]); !ok || c > e.C {`, `if c, ok := s.DiffReg(match[e.X], match[e.Y]); ok && c > e.C {`},
	{"internal/state/join.go", `if !s.Num(match[v]).Leq(t.Vals[v].Num) {`, `if s.Num(match[v]).UMin() > t.Vals[v].Num.UMax() {`},
	{"internal/state/join.go", `return match[y.V] == m`, `return true`},
	{"internal/state/join.go", `u.AddEdge(v, w, max(c, d))`, `u.AddEdge(v, w, min(c, d))`},
	{"internal/state/join.go", `u.Vals[v].Num = merge(s.Num(x), t.Num(y))`, `u.Vals[v].Num = merge(s.Num(x), s.Num(x))`},
	{"internal/state/memory.go", `	m.Forget(off, size)
	m.own()`, `	m.setInit(off, size)
	m.own()`},
	{"internal/state/memory.go", `if hi-lo == 1 {`, `if hi-lo >= 1 {`},
	{"internal/state/memory.go", `x >>= 8 * (off - int(c.Off))`, `x >>= 4 * (off - int(c.Off))`},
	{"internal/state/memory.go", `r = s.Truncate(r, size)`, `_ = size`},
	{"internal/state/value.go", `if s.Num(a).UMax() <= 1<<32-1 {
		return a
	}`, `if s.Num(a).UMax() <= 1<<33-1 {
		return a
	}`},
	{"internal/state/value.go", `s.AddEdge(v, d.B, d.BC-1)`, `s.AddEdge(v, d.B, d.BC-2)`},
	{"internal/state/value.go", `n.SMin() >= -top && n.SMax() < top {`, `n.SMin() >= -top {`},
	{"internal/state/state.go", `	obj.Nullable = false
	if !isNull {`, `	obj.Nullable = false
	if true {`},
	{"internal/state/state.go", `s.Objs[o].Ref = false
}`, `}`},
}

// TestMutants puts each wrong rule in the place of the right one and checks
// that the suite notices. It builds the packages once per mutant, which takes
// minutes: set SKEP_MUTANTS to run it.
func TestMutants(t *testing.T) {
	if os.Getenv("SKEP_MUTANTS") == "" {
		t.Skip("takes minutes: set SKEP_MUTANTS")
	}
	dir := t.TempDir()
	killed, tried := 0, 0
	for _, m := range mutants {
		path, err := filepath.Abs(m.file)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), m.right) {
			t.Errorf("%s has no %q: the list of mutants is stale", m.file, m.right)
			continue
		}
		changed, overlay := filepath.Join(dir, "mutant.go"), filepath.Join(dir, "overlay.json")
		if err := os.WriteFile(changed, []byte(strings.Replace(string(text), m.right, m.wrong, 1)), 0o666); err != nil {
			t.Fatal(err)
		}
		j, err := json.Marshal(map[string]any{"Replace": map[string]string{path: changed}})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(overlay, j, 0o666); err != nil {
			t.Fatal(err)
		}
		tried++
		if caught, out := runSuite(overlay); caught {
			killed++
		} else {
			t.Logf("survives: %s: %q becomes %q%s", m.file, m.right, m.wrong, out)
		}
	}
	t.Logf("%d of %d mutants killed", killed, tried)
	if killed*20 < tried*19 {
		t.Errorf("fewer than 95%%")
	}
}

// runSuite runs the tests on the mutant, the quick ones first.
func runSuite(overlay string) (caught bool, note string) {
	for _, args := range [][]string{
		{"-run", "TestVerdicts|TestRefused|TestManyValues|TestTraps|TestFacts", "."},
		{"-run", "TestSound$", "../vm"},
	} {
		cmd := exec.Command("go", append([]string{"test", "-vet=off", "-timeout", "120s", "-overlay", overlay}, args...)...)
		cmd.Env = append(os.Environ(), "SKEP_FUZZ_STEPS=100000")
		out, err := cmd.CombinedOutput()
		switch {
		case err != nil && strings.Contains(string(out), "[build failed]"):
			return false, ": does not build:\n" + string(out)
		case err != nil:
			return true, ""
		}
	}
	return false, ""
}

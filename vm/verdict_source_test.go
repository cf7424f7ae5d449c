package vm

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/skepvm/skep/elf"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/bpftest"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// typeNumber returns the number of t in the kernel: the platform has them in
// that order.
func typeNumber(t *hook.Type) uint32 { return uint32(slices.Index(linux.Platform.Types(), t)) + 1 }

// generatedPrograms compares generated programs, and mutants of two kinds.
func generatedPrograms(v *comparison, n int, first uint64) {
	made := &kernelMaps{made: map[*maps.Spec]*oracle.Map{}}
	defer made.close()
	var ms []*oracle.Map
	for _, m := range bpftest.Generate("xdp", 1, bpftest.Hostile("xdp")).Maps {
		k := made.make(m)
		if k == nil {
			v.t.Fatalf("the kernel does not make map %s", m.Name)
		}
		ms = append(ms, k)
	}
	for seed := first; !v.full(n); seed++ {
		r := rand.New(rand.NewPCG(seed, 0xd1ff))
		kind := []string{"xdp", "sched_cls"}[r.IntN(2)]
		o := bpftest.Everything(kind)
		o.Statements = 3 + r.IntN(14)
		for i, b := range []*bool{&o.Loops, &o.Callbacks, &o.MayGoto, &o.Subprograms, &o.Maps, &o.Packet, &o.Atomics, &o.AcquireLoad, &o.LegacyLoads} {
			*b = *b && (r.IntN(2) == 0 || i > 3 && r.IntN(2) == 0) // loops cost the kernel much
		}
		if r.IntN(2) == 0 {
			o.Constructs, o.Maps = true, true
			o.RingBuf, o.Iterators, o.Moves = r.IntN(2) == 0, r.IntN(3) == 0, o.Packet && r.IntN(3) == 0
		}
		s := &subject{
			Generated: *bpftest.Generate(kind, seed, o),
			name:      fmt.Sprintf("seed %d", seed),
			number:    typeNumber(linux.Platform.Type(kind)),
		}
		s.maps = ms[:len(s.Maps)]
		v.bases++
		quick := v.compare(s, s.Insns)
		if !quick {
			continue
		}
		v.border(s, 8, r)
		for i := range 4 {
			s.name = fmt.Sprintf("seed %d, random mutant %d", seed, i)
			v.compare(s, bpftest.Mutate(s.Insns, r))
		}
	}
}

// objectPrograms compares the programs of compiled objects, and mutants of
// those that both accept.
func objectPrograms(v *comparison, n int, first uint64) {
	dirs := append([]string{"../testdata", "../examples"}, filepath.SplitList(os.Getenv("SKEP_DIFF_OBJECTS"))...)
	var files []string
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() && (strings.HasSuffix(path, ".o") || strings.HasSuffix(path, "-el.elf")) {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			v.t.Fatal(err)
		}
	}
	r := rand.New(rand.NewPCG(first, 0x0b1))
	r.Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
	round := 8
	for seed := first; !v.full(n); seed++ {
		before := v.programs
		for _, file := range files {
			obj, err := elf.Open(file)
			if err != nil {
				continue // made to be refused
			}
			v.object(obj, filepath.Base(file), seed, round, n)
			if v.full(n) {
				break
			}
		}
		if v.programs == before {
			break
		}
		round = 32 // then all of them again, for other mutants
	}
}

// object compares the programs of obj that the kernel takes without more than
// itself (no attach points, no types of its own), each with mutants.
func (v *comparison) object(obj *prog.Object, name string, seed uint64, mutants, n int) {
	ms := kernelMaps{made: map[*maps.Spec]*oracle.Map{}}
	defer ms.close()
	for _, spec := range obj.Programs {
		s := ms.subject(obj, spec)
		if s == nil {
			continue
		}
		s.name = fmt.Sprintf("%s: %s, seed %d", name, spec.Name, seed)
		s.Seed = seed
		r := rand.New(rand.NewPCG(seed, uint64(len(s.Insns))<<32|uint64(len(name)+len(spec.Name))))
		v.bases++
		if v.compare(s, s.Insns) {
			v.border(s, mutants, r)
		}
		if v.full(n) {
			return
		}
	}
}

// loadable are the program types that the kernel loads without an attach point.
var loadable = []string{
	"socket_filter", "kprobe", "sched_cls", "sched_act", "tracepoint", "xdp", "perf_event", "cgroup_skb", "cgroup_sock", "lwt_in", "lwt_out",
	"lwt_xmit", "sock_ops", "sk_skb", "cgroup_device", "sk_msg", "raw_tracepoint", "flow_dissector", "cgroup_sysctl",
}

// kernelMaps are the maps of an object in the kernel.
type kernelMaps struct {
	made map[*maps.Spec]*oracle.Map // nil: the kernel refuses it
	all  []*oracle.Map
}

func (k *kernelMaps) close() {
	for _, m := range k.all {
		m.Close()
	}
}

// subject returns a program of obj with its maps; nil if it cannot be compared.
func (k *kernelMaps) subject(obj *prog.Object, spec *prog.Spec) *subject {
	p, err := obj.Link(spec)
	if err != nil || p.Type == nil || p.Type.Attach != "" || p.Sleepable || !slices.Contains(loadable, p.Type.Name) || len(p.Insns) > 1000 || len(p.Externs) > 0 {
		return nil
	}
	s := &subject{number: typeNumber(p.Type), maps: []*oracle.Map{}}
	s.Type, s.Packet = p.Type.Name, make([]byte, 64)
	for _, m := range p.Maps {
		if m.Type == maps.ProgArray {
			delete(k.made, m) // belongs to the type of its first user
		}
		theirs := k.make(m)
		if theirs == nil {
			return nil
		}
		s.Maps, s.maps = append(s.Maps, m), append(s.maps, theirs)
	}
	s.Insns = slices.Clone(p.Insns)
	for pc := range s.Insns { // back to the form that objects have
		if in := &s.Insns[pc]; in.IsWide() && in.Src == isa.PseudoFunc {
			in.Imm -= int32(pc) + 1
		}
	}
	return s
}

// make makes the map that spec describes, but keeps it small.
func (k *kernelMaps) make(spec *maps.Spec) *oracle.Map {
	if m, ok := k.made[spec]; ok {
		return m
	}
	switch spec.Type {
	case maps.Hash, maps.LRUHash, maps.PerCPUHash, maps.LPMTrie, maps.LRUPerCPUHash:
		spec.MaxEntries = min(spec.MaxEntries, 64)
	}
	spec.Flags &^= maps.NUMANode
	k.made[spec] = nil
	var inner *oracle.Map
	if spec.Inner != nil {
		if inner = k.make(spec.Inner); inner == nil {
			return nil
		}
	}
	if uint64(spec.MaxEntries)*uint64(spec.ValueSize) > 1<<20 {
		return nil
	}
	m, err := oracle.NewMap(spec, inner)
	if err != nil {
		return nil
	}
	k.made[spec] = m
	k.all = append(k.all, m)
	for _, e := range spec.Contents {
		if e.Value != nil && m.Update(e.Key, e.Value, maps.Any) != nil {
			return nil
		}
	}
	if spec.Frozen && m.Freeze() != nil {
		return nil
	}
	return m
}

// compiledPrograms compares what clang makes of generated C.
func compiledPrograms(v *comparison, n int, first uint64) {
	clang := "clang-19"
	if _, err := exec.LookPath(clang); err != nil {
		v.t.Skipf("no %s in PATH", clang)
	}
	for seed := first; !v.full(n); seed++ {
		object := compileC(v, clang, seed)
		obj, err := elf.Load(bytes.NewReader(object), fmt.Sprintf("c%d.o", seed), elf.Options{})
		if err != nil {
			v.t.Fatal(err)
		}
		v.object(obj, "C", seed, 12, n)
	}
}

// compileC compiles the unit that seed stands for, at the levels that it
// stands for.
func compileC(v *comparison, clang string, seed uint64) []byte {
	cpu := "v" + strconv.Itoa(1+int(seed%4))
	level := "-O" + strconv.Itoa(1+int(seed/4%2))
	dir := v.t.TempDir()
	out := filepath.Join(dir, "c.o")
	cmd := exec.Command(clang, level, "-g", "-w", "-target", "bpfel", "-mcpu="+cpu,
		"-mllvm", "-bpf-stack-size=4096", // both may refuse that
		"-c", "-x", "c", "-", "-o", out)
	cmd.Stdin = strings.NewReader(bpftest.C(seed, 60))
	if text, err := cmd.CombinedOutput(); err != nil {
		v.t.Fatalf("seed %d: %v\n%s", seed, err, text)
	}
	object, err := os.ReadFile(out)
	if err != nil {
		v.t.Fatal(err)
	}
	return object
}

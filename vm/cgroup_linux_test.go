package vm_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// A cgroupDir is an open directory of the version 2 hierarchy.
type cgroupDir struct {
	f  *os.File
	id uint64 // its inode, which is the cgroup's id
}

func openCgroup(t *testing.T, path string) cgroupDir {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	s, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return cgroupDir{f, s.Sys().(*syscall.Stat_t).Ino}
}

// TestKernelCgroups compares arrays of cgroups, and current_task_under_cgroup on
// this process, with the kernel's.
func TestKernelCgroups(t *testing.T) {
	oracle.Skip(t)
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	var root string
	for _, line := range strings.Split(string(mounts), "\n") {
		if f := strings.Fields(line); len(f) > 2 && f[2] == "cgroup2" {
			root = f[1]
		}
	}
	if root == "" {
		t.Skip("no version 2 cgroups are mounted")
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	dirs := []cgroupDir{openCgroup(t, root)}
	way := []uint64{dirs[0].id}
	for _, line := range strings.Split(string(own), "\n") {
		path, ok := strings.CutPrefix(line, "0::/")
		for at := root; ok && path != ""; {
			var name string
			name, path, _ = strings.Cut(path, "/")
			at = filepath.Join(at, name)
			d := openCgroup(t, at)
			dirs, way = append(dirs, d), append(way, d.id)
		}
	}
	other := filepath.Join(root, "skep-test")
	if err := os.Mkdir(other, 0o755); err != nil && !os.IsExist(err) {
		t.Skipf("no cgroup can be made: %v", err)
	}
	t.Cleanup(func() { os.Remove(other) })
	dirs = append(dirs, openCgroup(t, other))

	const text = "r2 = *(u64 *)(r1 +0)\nr1 = map[0]\ncall 37\nr6 = map[1][0]+0\n*(u64 *)(r6 +0) = r0\nr0 = 0\nexit"
	specs := []*maps.Spec{
		{Name: "m", Type: maps.CgroupArray, KeySize: 4, ValueSize: 4, MaxEntries: 4},
		{Name: "out", Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1},
	}
	results := map[int64]int{}
	for _, e := range usable(t) {
		var theirs []*oracle.Map
		for _, s := range specs {
			m, err := oracle.NewMap(s, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(m.Close)
			theirs = append(theirs, m)
		}
		kernel, log, err := oracle.Load(oracle.LoadOptions{Type: oracle.RawTracepoint, Insns: assemble(t, text), Maps: theirs})
		if err != nil {
			t.Fatalf("%v\n%s", err, log)
		}
		t.Cleanup(kernel.Close)
		p, err := prog.FromInsns("p", linux.RawTracepoint, assemble(t, text), specs)
		if err != nil {
			t.Fatal(err)
		}
		c, err := vm.LoadProgram(p, vm.Options{Engine: e, Host: helpers.Host{Platform: &linux.Host{
			Task: linux.Task{Cgroups: func(helpers.Env) []uint64 { return way }}}}})
		if err != nil {
			t.Fatal(err)
		}
		m := c.Map("m")
		r := rand.New(rand.NewPCG(1, 2))
		for step := range envInt(t, "SKEP_DIFF_OPS", 400) {
			i := r.Uint32N(6)
			var got, want error
			a, b := make([]byte, 4), make([]byte, 4)
			switch r.IntN(6) {
			case 0:
				got, want = m.Delete(word(i)), theirs[0].Delete(word(i))
			case 1:
				d := dirs[r.IntN(len(dirs))]
				got, want = m.(maps.CgroupMap).StoreCgroup(i, d.id), theirs[0].Update(word(i), word(uint32(d.f.Fd())), 0)
			case 2:
				flags := maps.UpdateFlags(r.IntN(5))
				got, want = m.Update(word(i), word(1<<30), flags), theirs[0].Update(word(i), word(1<<30), flags)
			case 3:
				got, want = m.Lookup(word(i), a), theirs[0].Lookup(word(i), b, 0)
			case 4:
				got, want = m.NextKey(word(i), a), theirs[0].NextKey(word(i), b)
			default:
				ctx := binary.NativeEndian.AppendUint64(nil, []uint64{uint64(i), 1<<32 + uint64(i), 1<<32 - 1}[r.IntN(3)])
				if _, err := kernel.Run(oracle.RunInput{Ctx: ctx}); err != nil {
					t.Fatal(err)
				}
				if _, err := c.Program("p").Run(ctx); err != nil {
					t.Fatal(err)
				}
				a, b = make([]byte, 8), make([]byte, 8)
				got, want = c.Map("out").Lookup(word(0), a), theirs[1].Lookup(word(0), b, 0)
				results[int64(binary.NativeEndian.Uint64(b))]++
			}
			if r0Of(got) != r0Of(want) || string(a) != string(b) {
				t.Fatalf("%s, step %d: %v, %x; the kernel: %v, %x", e, step, got, a, want, b)
			}
		}
		c.Close()
	}
	t.Logf("results: %v", results)
	if results[0] == 0 || results[1] == 0 || results[-11] == 0 || results[-7] == 0 {
		t.Errorf("not every result came: %v", results)
	}
}

// TestSkbUnderCgroup: a packet belongs where its socket does (net/core/filter.c,
// bpf_skb_under_cgroup).
func TestSkbUnderCgroup(t *testing.T) {
	for _, tc := range []struct {
		s     *linux.SocketInfo
		index int
		want  errno.Errno // of the negative result; 1 as a number
		r0    uint64
	}{
		{&linux.SocketInfo{Cgroups: []uint64{1, 5, 9}}, 0, 0, 1},
		{&linux.SocketInfo{Cgroups: []uint64{1, 5}}, 0, 0, 1},
		{&linux.SocketInfo{Cgroups: []uint64{1, 9}}, 0, 0, 0},
		{&linux.SocketInfo{Cgroups: []uint64{1, 5}}, 1, errno.EAGAIN, 0},
		{&linux.SocketInfo{Cgroups: []uint64{1, 5}}, 2, errno.E2BIG, 0},
		{&linux.SocketInfo{Cgroups: []uint64{1, 5}, Mini: true}, 2, errno.ENOENT, 0},
		{nil, 0, errno.ENOENT, 0},
	} {
		for _, e := range usable(t) {
			c := load(t, linux.SchedCls, "r2 = map[0]\nr3 = "+string(rune('0'+tc.index))+"\ncall 33\nexit", vm.Options{Engine: e},
				&maps.Spec{Name: "m", Type: maps.CgroupArray, KeySize: 4, ValueSize: 4, MaxEntries: 2})
			if err := c.Map("m").(maps.CgroupMap).StoreCgroup(0, 5); err != nil {
				t.Fatal(err)
			}
			var o vm.RunOptions
			if tc.s != nil {
				o.Objects = map[string]hook.Object{"sk": linux.NewSocket(*tc.s)}
			}
			want := tc.r0
			if tc.want != 0 {
				want = tc.want.R0()
			}
			if got, err := c.Program("p").Do(context.Background(), make([]byte, 64), o); err != nil || got.R0 != want {
				t.Errorf("%+v, %s: %d, %v, want %d", tc, e, int64(got.R0), err, int64(want))
			}
			c.Close()
		}
	}
}

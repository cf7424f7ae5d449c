package oracle

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Types of programs that BPF_PROG_TEST_RUN does not run, and where they attach
// (include/uapi/linux/bpf.h, enum bpf_prog_type and enum bpf_attach_type).
const (
	CgroupSock     = 9
	SockOps        = 13
	SkSkb          = 14
	CgroupDevice   = 15
	SkMsg          = 16
	CgroupSockAddr = 18
	SkReuseport    = 21
	CgroupSysctl   = 23
	CgroupSockopt  = 25
	SkLookup       = 30

	AtSockCreate      = 2
	AtSockOps         = 3
	AtSkSkbParser     = 4
	AtSkSkbVerdict    = 5
	AtDevice          = 6
	AtSkMsg           = 7
	AtBind4           = 8
	AtBind6           = 9
	AtConnect4        = 10
	AtConnect6        = 11
	AtPostBind4       = 12
	AtPostBind6       = 13
	AtSendmsg4        = 14
	AtSendmsg6        = 15
	AtSysctl          = 18
	AtRecvmsg4        = 19
	AtRecvmsg6        = 20
	AtGetsockopt      = 21
	AtSetsockopt      = 22
	AtGetpeername4    = 29
	AtGetpeername6    = 30
	AtGetsockname4    = 31
	AtGetsockname6    = 32
	AtSockRelease     = 34
	AtSkLookup        = 36
	AtReuseportSelect = 39
)

const linkCreate = 28

type linkCreateAttr struct {
	progFD, targetFD, attach uint32
	_                        uint32 // flags
	_                        [4]uint64
}

// Attach makes the kernel run p at what target is a file descriptor of (a cgroup,
// a network namespace, a map of sockets), until detach is called or the process
// ends. The program's verdicts are the machine's meanwhile.
func (p *Program) Attach(target int, attach uint32) (detach func(), err error) {
	var pin runtime.Pinner
	fd, err := bpf(linkCreate, &linkCreateAttr{progFD: uint32(p.fd), targetFD: uint32(target), attach: attach}, &pin)
	if err != nil {
		return nil, err
	}
	return func() { unix.Close(int(fd)) }, nil
}

// Ran records that the kernel ran p where it was attached.
func (p *Program) Ran() { note(p.helpers, p.types) }

// A Cgroup is a version 2 cgroup that a test made.
type Cgroup struct {
	f    *os.File
	root string
	way  []uint64
}

// NewCgroup makes a cgroup below the root and moves this process there. It skips t
// where it cannot. The caller closes it.
func NewCgroup(t T, name string) *Cgroup {
	t.Helper()
	g, err := newCgroup(name)
	if err != nil {
		t.Skipf("no cgroup for the kernel: %v", err)
	}
	return g
}

func newCgroup(name string) (*Cgroup, error) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	g := &Cgroup{}
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 2 && f[2] == "cgroup2" {
			g.root = f[1]
		}
	}
	if g.root == "" {
		return nil, os.ErrNotExist
	}
	path := filepath.Join(g.root, name+"-"+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(path, 0o755); err != nil && !os.IsExist(err) {
		return nil, err
	}
	if g.f, err = os.Open(path); err != nil {
		return nil, err
	}
	for _, dir := range []string{g.root, path} {
		var s unix.Stat_t
		if err := unix.Stat(dir, &s); err != nil {
			return nil, err
		}
		g.way = append(g.way, s.Ino)
	}
	if err := g.Enter(); err != nil {
		g.Close()
		return nil, err
	}
	return g, nil
}

// FD returns the cgroup's file descriptor.
func (g *Cgroup) FD() int { return int(g.f.Fd()) }

// Way returns the ids of the root and of the cgroup.
func (g *Cgroup) Way() []uint64 { return g.way }

// Enter moves this process to the cgroup, Leave to the root: sockets belong where
// they were made.
func (g *Cgroup) Enter() error { return move(g.f.Name()) }
func (g *Cgroup) Leave() error { return move(g.root) }

func move(dir string) error {
	return os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte("0"), 0)
}

// Close moves this process to the root, and removes the cgroup.
func (g *Cgroup) Close() {
	_ = g.Leave()
	g.f.Close()
	_ = os.Remove(g.f.Name())
}

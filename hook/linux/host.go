package linux

import (
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/maps"
)

// A Host is what the helpers of Linux ask the host, besides what helpers.Host
// has: the value of helpers.Host.Platform.
//
//	vm.Options{Host: helpers.Host{Platform: &linux.Host{Task: linux.Task{…}}}}
//
// Every function may be nil. Then a program that calls a helper which asks it is
// refused when it is loaded, with the function's name, unless the function says
// otherwise. They get the run that asks, as env: its context (Env.Ctx), its
// packet, and its *State, in which a host finds what it put there before the run.
// They may be called by any number of runs at a time.
type Host struct {
	Memory      Memory
	Task        Task
	Stack       Stack
	Counters    Counters
	Sockets     Sockets
	Routes      Routes
	Remote      Remote
	SystemCalls SystemCalls
}

// A Memory is what tracing programs look into: the traced machine's. Memory of
// the program itself (its stack, values of maps) probe_read and
// probe_read_kernel read without asking; there is none besides if Read is nil.
type Memory struct {
	// Read fills b with what is at addr of space and reports whether it all can
	// be read. nil: nothing can, which programs learn as EFAULT.
	Read func(env helpers.Env, space Space, addr uint64, b []byte) bool
	// Write is probe_write_user: stores b at addr of the user's memory.
	Write func(env helpers.Env, addr uint64, b []byte) bool
	// Path is d_path: the name of the file that the struct path at this address
	// stands for. ENAMETOOLONG and the like are what the program gets.
	Path func(env helpers.Env, path uint64) (string, error)
	// Symbol is kallsyms_lookup_name: the address of a symbol, or 0.
	Symbol func(name string) uint64
}

// A Space is a space of addresses.
type Space uint8

const (
	UserSpace Space = iota
	KernelSpace
)

// A Task is the thread on whose behalf programs run. Its numbers and its name
// are in helpers.Host: PidTgid, UidGid, Comm.
type Task struct {
	// Pointer is get_current_task, and get_current_task_btf: the address of a struct task_struct, for
	// reads through Memory.
	Pointer func(env helpers.Env) uint64
	// Cgroups is the way to the task's cgroup in the version 2 hierarchy: the
	// id of the root, of its child, and so on to the cgroup itself.
	Cgroups func(env helpers.Env) []uint64
	// ClassID is the net_cls class of the task's cgroup; nil: 0.
	ClassID func(env helpers.Env) uint32
	// Namespace is get_ns_current_pid_tgid: the task's numbers in the namespace
	// that the file dev:ino stands for; EINVAL: that is not the task's.
	Namespace func(env helpers.Env, dev, ino uint64) (pid, tgid uint32, err error)
	// Signal sends sig to the task's process, or to the thread alone.
	Signal func(env helpers.Env, sig int, thread bool) error
}

// Counters are the performance counters behind maps of perf events.
type Counters struct {
	// Read returns the counter at index of m. ENOENT: there is none.
	Read func(env helpers.Env, m maps.Map, index uint32) (Counter, error)
}

// A Counter is struct bpf_perf_event_value.
type Counter struct{ Value, Enabled, Running uint64 }

// A Remote is an infrared receiver, of which programs decode the signal.
type Remote struct {
	KeyDown func(env helpers.Env, protocol uint32, scancode uint64, toggle uint32)
	Repeat  func(env helpers.Env)
	Pointer func(env helpers.Env, x, y int32)
}

// noHost answers for hosts that give nothing.
var noHost Host

// platformOf returns the Linux part of h.
func platformOf(h *helpers.Host) *Host {
	if h != nil {
		if l, ok := h.Platform.(*Host); ok && l != nil {
			return l
		}
	}
	return &noHost
}

// need returns the Needs of a helper that asks a function of Host, by its name
// there.
func need(name string, given func(*Host) bool) func(*helpers.Host) string {
	return func(h *helpers.Host) string {
		if given(platformOf(h)) {
			return ""
		}
		return "linux.Host." + name
	}
}

// runs returns f, which was declared, with its body.
func runs(f *helpers.Func, body helpers.Impl) *helpers.Func {
	f.Impl, f.Needs = body, nil
	return f
}

// asks is runs for a body that needs something of the host.
func asks(f *helpers.Func, needs func(*helpers.Host) string, body helpers.Impl) *helpers.Func {
	f.Impl, f.Needs = body, needs
	return f
}

// Needs of several helpers.
var (
	needsWrite     = need("Memory.Write", func(h *Host) bool { return h.Memory.Write != nil })
	needsSymbol    = need("Memory.Symbol", func(h *Host) bool { return h.Memory.Symbol != nil })
	needsTask      = need("Task.Pointer", func(h *Host) bool { return h.Task.Pointer != nil })
	needsCgroups   = need("Task.Cgroups", func(h *Host) bool { return h.Task.Cgroups != nil })
	needsNamespace = need("Task.Namespace", func(h *Host) bool { return h.Task.Namespace != nil })
	needsSignal    = need("Task.Signal", func(h *Host) bool { return h.Task.Signal != nil })
	needsCounters  = need("Counters.Read", func(h *Host) bool { return h.Counters.Read != nil })
)

// host returns the Linux part of what the run may ask.
func host(env helpers.Env) *Host { return platformOf(env.Host()) }

// stateOf returns the run's state. Every type of the platform has one.
func stateOf(env helpers.Env) *State {
	if s, ok := env.State().(*State); ok {
		return s
	}
	return &State{}
}

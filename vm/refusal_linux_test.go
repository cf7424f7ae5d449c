//go:build linux && (amd64 || arm64)

package vm_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// refusals are the ways in which a kernel can be told to refuse new code in a
// process. They cannot be undone, so each is tried in a process of its own.
var refusals = map[string]func() error{
	// PR_SET_MDWE (linux/prctl.h): what was not executable may not become so.
	"mdwe": func() error {
		const setMDWE, refuseExecGain = 65, 1
		return prctl(setMDWE, refuseExecGain, 0)
	},
	"seccomp": func() error {
		const setNoNewPrivs = 38
		if err := prctl(setNoNewPrivs, 1, 0); err != nil {
			return err
		}
		return installFilter([]syscall.SockFilter{
			// struct seccomp_data (linux/seccomp.h): nr at 0, args[2], the
			// protection, at 32.
			{Code: syscall.BPF_LD | syscall.BPF_W | syscall.BPF_ABS, K: 0},
			{Code: syscall.BPF_JMP | syscall.BPF_JEQ | syscall.BPF_K, K: syscall.SYS_MPROTECT, Jf: 3},
			{Code: syscall.BPF_LD | syscall.BPF_W | syscall.BPF_ABS, K: 32},
			{Code: syscall.BPF_JMP | syscall.BPF_JSET | syscall.BPF_K, K: syscall.PROT_EXEC, Jf: 1},
			{Code: syscall.BPF_RET | syscall.BPF_K, K: 0x0005_0000 | uint32(syscall.EPERM)}, // SECCOMP_RET_ERRNO
			{Code: syscall.BPF_RET | syscall.BPF_K, K: 0x7fff_0000},                         // SECCOMP_RET_ALLOW
		})
	},
}

func prctl(option, a, b uintptr) error {
	if _, _, e := syscall.Syscall6(syscall.SYS_PRCTL, option, a, b, 0, 0, 0); e != 0 {
		return e
	}
	return nil
}

// installFilter makes the kernel ask the filter about each system call of every
// thread.
func installFilter(filter []syscall.SockFilter) error {
	const setModeFilter, flagTSync = 1, 1
	number := map[string]uintptr{"amd64": 317, "arm64": 277}[runtime.GOARCH] // seccomp(2)
	p := syscall.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if _, _, e := syscall.Syscall(number, setModeFilter, flagTSync, uintptr(unsafe.Pointer(&p))); e != 0 {
		return e
	}
	return nil
}

// TestRefusedCode: where the kernel allows no new code, before a process has
// made any or afterwards, programs run in an interpreter, and say why.
func TestRefusedCode(t *testing.T) {
	const env = "SKEP_TEST_REFUSAL"
	if how := os.Getenv(env); how != "" {
		refused(t, how)
		return
	}
	needCompiler(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name := range refusals {
		for _, when := range []string{"first", "later"} {
			t.Run(name+"/"+when, func(t *testing.T) {
				cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestRefusedCode$", "-test.v")
				cmd.Env = append(os.Environ(), env+"="+name+" "+when)
				out, err := cmd.CombinedOutput()
				text := string(out)
				switch {
				case errors.Is(err, syscall.ENOEXEC):
					t.Skipf("an emulated process cannot start itself: %v", err)
				case strings.Contains(text, "--- SKIP"):
					t.Skip(text)
				case err != nil:
					t.Fatalf("%v\n%s", err, text)
				}
				for _, want := range []string{
					"auto: 7, <nil>; interp: jit: execmem: seal 4096 bytes: ",
					"jit: ", "execmem: seal 4096 bytes: ",
					"code: 0 bytes",
				} {
					if !strings.Contains(text, want) {
						t.Errorf("no %q in\n%s", want, text)
					}
				}
			})
		}
	}
}

// refused is a process that may not make code.
func refused(t *testing.T, how string) {
	name, when, _ := strings.Cut(how, " ")
	p, err := prog.FromInsns("p", packetType, assemble(t, "r0 = 7\nexit"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if when == "later" {
		c, err := vm.LoadProgram(p, vm.Options{Engine: vm.JIT})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		defer func() { // what was made before goes on
			if got, err := c.Program("p").Run(nil); got != 7 || err != nil {
				t.Errorf("the program from before: %d, %v", got, err)
			}
		}()
	}
	runtime.LockOSThread() // prctl is about the thread; seccomp then takes in all
	if err := refusals[name](); err != nil {
		t.Skipf("%s is not possible here: %v", name, err)
	}
	c, err := vm.LoadProgram(p, vm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got, err := c.Program("p").Run(nil)
	e, why := c.Program("p").Engine()
	fmt.Printf("auto: %d, %v; %s: %s\ncode: %d bytes\n", got, err, e, why, c.Memory().Code)
	if _, err = vm.LoadProgram(p, vm.Options{Engine: vm.JIT}); err == nil {
		t.Error("a program was compiled")
	}
	fmt.Println("jit:", err)
}

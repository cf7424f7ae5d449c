//go:build amd64 || arm64

package execmem

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// mapping returns the permissions of the mapping that holds addr, and whether
// any mapping of the process is writable and executable.
func mapping(t *testing.T, addr uintptr) (perms string, both bool) {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Skipf("no /proc: %v", err)
	}
	for line := range strings.Lines(string(maps)) {
		var lo, hi uintptr
		var p string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &lo, &hi, &p); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		both = both || strings.Contains(p, "wx")
		if lo <= addr && addr < hi {
			perms = p
		}
	}
	return perms, both
}

// TestWriteXorExecute reads what the kernel says of the pages while they are
// written, when they are sealed, and when they are freed.
func TestWriteXorExecute(t *testing.T) {
	check := func(when string, addr uintptr, want string) {
		t.Helper()
		perms, both := mapping(t, addr)
		if perms != want {
			t.Errorf("%s: permissions %q, want %q", when, perms, want)
		}
		if both {
			t.Errorf("%s: some mapping is writable and executable", when)
		}
	}
	b, err := seal(10000, func(mem []byte) {
		check("while written", address(mem), "rw-p")
	})
	if err != nil {
		t.Fatal(err)
	}
	check("sealed", b.Addr(), "r-xp")
	addr := b.Addr()
	if err := b.Free(); err != nil {
		t.Fatal(err)
	}
	if perms, _ := mapping(t, addr); strings.Contains(perms, "x") {
		t.Errorf("freed: permissions %q", perms)
	}
}

// TestHardenedKernel asks the real kernel to refuse new code in a child process
// (PR_SET_MDWE, Linux 6.3), and checks what the child then says.
func TestHardenedKernel(t *testing.T) {
	const prSetMDWE, refuseExecGain = 65, 1
	if os.Getenv("EXECMEM_HARDENED") != "" {
		if _, _, errno := syscall.Syscall6(syscall.SYS_PRCTL, prSetMDWE, refuseExecGain, 0, 0, 0, 0); errno != 0 {
			fmt.Println("unsupported:", errno)
			return
		}
		err := Available()
		var refused *Error
		if !errors.As(err, &refused) || refused.Op != "seal" || !errors.Is(err, syscall.EACCES) || Mapped() != 0 {
			t.Fatalf("got %v, %d bytes accounted", err, Mapped())
		}
		fmt.Println("refused:", err)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestHardenedKernel$", "-test.v")
	cmd.Env = append(os.Environ(), "EXECMEM_HARDENED=1")
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.ENOEXEC) {
		t.Skipf("the host runs this program through an emulator, and cannot run it as a child: %v", err)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	switch {
	case strings.Contains(string(out), "refused:"):
	case strings.Contains(string(out), "unsupported:"):
		t.Skipf("the kernel has no PR_SET_MDWE: %s", out)
	default:
		t.Fatalf("the child said nothing:\n%s", out)
	}
}

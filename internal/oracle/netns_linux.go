package oracle

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Isolate gives the test that calls it a thread of its own in a network namespace
// of its own, in which the loopback device is up, and sets the namespace's sysctls:
// names below /proc/sys, values. It skips t where it cannot. The thread ends with
// the test, and the namespace with what is open in it. What other goroutines do,
// such as those of package net, is done elsewhere.
func Isolate(t T, sysctls map[string]string) {
	t.Helper()
	runtime.LockOSThread() // for good
	if err := isolate(sysctls); err != nil {
		t.Skipf("no network namespace for the kernel: %v", err)
	}
}

func isolate(sysctls map[string]string) error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return err
	}
	for name, value := range sysctls {
		if err := os.WriteFile("/proc/sys/"+name, []byte(value), 0o644); err != nil {
			return err
		}
	}
	return nil
}

package oracle

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Machine returns what measurements are to be read with: the name of the
// processor, and the release of the kernel.
func Machine() (cpu, kernel string) {
	cpu, kernel = "unknown processor", "unknown"
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.SplitSeq(string(info), "\n") {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			cpu = strings.TrimLeft(name, "\t :")
			break
		}
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		kernel = unix.ByteSliceToString(u.Release[:])
	}
	return cpu, kernel
}

package rt

import (
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// TestHostFeatures compares with what the kernel says.
func TestHostFeatures(t *testing.T) {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Skipf("no /proc: %v", err)
	}
	var flags []string
	for line := range strings.Lines(string(info)) {
		name, value, _ := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); name == "flags" && runtime.GOARCH == "amd64" || name == "Features" && runtime.GOARCH == "arm64" {
			flags = strings.Fields(value)
			break
		}
	}
	if flags == nil {
		t.Skip("/proc/cpuinfo is not of this architecture, or lists no features")
	}
	f := HostFeatures()
	got := map[string]map[string]bool{
		"amd64": {"bmi1": f.BMI1, "bmi2": f.BMI2, "abm": f.LZCNT, "movbe": f.MOVBE, "popcnt": f.POPCNT, "sse4_2": f.SSE42},
		"arm64": {"atomics": f.LSE, "lrcpc": f.LRCPC},
	}
	for name, has := range got[runtime.GOARCH] {
		if want := slices.Contains(flags, name); has != want {
			t.Errorf("%s: %v, the kernel says %v", name, has, want)
		}
	}
}

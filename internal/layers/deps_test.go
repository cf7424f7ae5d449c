package layers

import (
	"os/exec"
	"strings"
	"testing"
)

// TestEmbedderDeps checks what a program gets that uses the library: of other
// modules only what reading objects needs, and nothing at all without elf;
// nothing for tests, the network or a command line.
func TestEmbedderDeps(t *testing.T) {
	for _, tc := range []struct {
		packages string
		modules  string // other modules, by prefix of their packages
	}{
		{"vm hook/linux", ""},
		{"vm hook/linux elf", "github.com/cilium/ebpf golang.org/x/sys"},
	} {
		t.Run(tc.packages, func(t *testing.T) {
			args := []string{"list", "-deps", "-f", "{{.ImportPath}} {{.Standard}}"}
			for _, p := range strings.Fields(tc.packages) {
				args = append(args, module+"/"+p)
			}
			out, err := exec.Command("go", args...).Output()
			if err != nil {
				t.Fatalf("go list: %v", err)
			}
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			if len(lines) < 20 {
				t.Fatalf("go list names %d packages", len(lines))
			}
			for _, line := range lines {
				path, standard, _ := strings.Cut(line, " ")
				if !allowedDep(path, standard == "true", strings.Fields(tc.modules)) {
					t.Errorf("%s depends on %s", tc.packages, path)
				}
			}
		})
	}
}

func allowedDep(path string, standard bool, modules []string) bool {
	if standard {
		first, _, _ := strings.Cut(path, "/")
		network := first == "net" && path != "net/netip" // which is addresses, and opens nothing
		return first != "testing" && !network && path != "log/syslog"
	}
	for _, m := range append(modules, module) {
		if path == m || strings.HasPrefix(path, m+"/") {
			return !strings.HasPrefix(path, module+"/cmd/") && !strings.HasPrefix(path, module+"/examples/")
		}
	}
	return false
}

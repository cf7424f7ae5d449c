// Package layers holds the import rules of the project and the test that
// enforces them. ARCHITECTURE.md says why they are as they are.
package layers

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/skepvm/skep"

// allowed lists, for each package of the library, which of the others its
// non-test code may import, and whether it may import anything but the
// standard library.
var allowed = map[string]struct {
	imports  string // packages of this module, separated by spaces
	external bool
}{
	"errno":              {},
	"btf":                {},
	"internal/isa":       {},
	"internal/mem":       {},
	"internal/vcpu":      {},
	"maps":               {imports: "errno btf internal/mem internal/vcpu"},
	"maps/mapstest":      {imports: "errno maps internal/mem internal/vcpu"},
	"helpers":            {imports: "errno btf maps internal/mem"},
	"helpers/helpertest": {imports: "maps helpers"},
	"hook":               {imports: "errno btf maps helpers internal/mem"},
	"hook/linux":         {imports: "errno btf maps helpers hook"},
	"prog":               {imports: "errno btf maps helpers hook internal/isa"},
	"elf":                {imports: "errno btf maps helpers hook hook/linux prog internal/isa", external: true},
	"internal/checked":   {imports: "errno btf maps helpers hook prog internal/isa internal/mem internal/vcpu"},
	"internal/bpftest":   {imports: "errno btf maps helpers hook hook/linux prog internal/isa"},
	"internal/cfuzz":     {imports: "errno elf hook hook/linux internal/isa internal/oracle maps prog verifier vm"},
	"internal/corpus":    {imports: "maps hook hook/linux prog elf verifier internal/isa internal/oracle", external: true},
	"internal/kcall":     {imports: "helpers helpers/helpertest maps prog internal/isa internal/oracle"},
	"internal/path":      {imports: "errno btf helpers hook maps prog internal/isa"},
	"internal/oracle":    {imports: "errno btf maps prog internal/isa internal/mem", external: true},
	"vm":                 {imports: "errno btf maps helpers hook hook/linux prog verifier internal/isa internal/mem internal/vcpu internal/checked internal/execmem internal/interp internal/opt internal/rt jit"},

	"verifier/internal/tnum":   {},
	"verifier/internal/scalar": {imports: "verifier/internal/tnum internal/isa"},
	"verifier/internal/wto":    {},
	"verifier/internal/state":  {imports: "errno btf maps helpers hook prog internal/isa verifier/internal/tnum verifier/internal/scalar"},
	"verifier":                 {imports: "errno btf maps helpers hook prog internal/isa verifier/internal/tnum verifier/internal/scalar verifier/internal/wto verifier/internal/state"},
	"jit/internal/emit":        {},
	"jit/internal/asmtest":     {},
	"jit/internal/lower":       {imports: "errno helpers maps prog internal/isa internal/opt internal/rt jit/internal/emit jit/internal/layout"},
	"jit/internal/amd64":       {imports: "maps prog internal/isa internal/opt internal/rt jit/internal/emit jit/internal/layout jit/internal/lower"},
	"jit/internal/arm64":       {imports: "maps prog internal/isa internal/opt internal/rt jit/internal/emit jit/internal/layout jit/internal/lower"},
	"jit/internal/layout":      {imports: "internal/opt internal/rt jit/internal/emit"},
	"jit":                      {imports: "hook maps prog verifier internal/opt internal/rt jit/internal/emit jit/internal/layout jit/internal/amd64 jit/internal/arm64"},
	"internal/opt":             {imports: "maps helpers hook prog verifier internal/isa"},
	"internal/interp":          {imports: "errno helpers maps prog verifier internal/isa internal/mem internal/opt"},
	"internal/execmem":         {external: true},
	"internal/bench":           {imports: "elf helpers hook hook/linux jit maps prog verifier vm internal/execmem internal/isa internal/oracle internal/rt internal/spin", external: true},
	"internal/spin":            {imports: "helpers hook/linux maps prog vm"},
	"internal/mapbench":        {imports: "elf maps prog vm internal/oracle", external: true},
	"internal/rt":              {imports: "helpers"},
	"internal/mutate":          {},
	"internal/support":         {imports: "helpers hook hook/linux maps verifier internal/tested"},
	"internal/tested":          {imports: "maps internal/oracle"},
}

func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"/...").Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var pkg struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&pkg); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(pkg.ImportPath, module+"/")
		if strings.HasPrefix(name, "examples/") || strings.HasPrefix(name, "cmd/") {
			continue
		}
		rule, ok := allowed[name]
		if !ok && len(pkg.Imports) > 0 {
			t.Errorf("%s: no import rule; say in ARCHITECTURE.md where it stands and add one", name)
			continue
		}
		may := map[string]bool{}
		for _, f := range strings.Fields(rule.imports) {
			may[f] = true
		}
		for _, imp := range pkg.Imports {
			if own, inside := strings.CutPrefix(imp, module+"/"); inside {
				if !may[own] {
					t.Errorf("%s may not import %s", name, own)
				}
			} else if first, _, _ := strings.Cut(imp, "/"); strings.Contains(first, ".") && !rule.external {
				t.Errorf("%s may not import %s: only the standard library", name, imp)
			}
		}
	}
}

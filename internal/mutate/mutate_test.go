package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// loaded loads the targets, from the root of the module.
func loaded(t *testing.T) ([]*mutant, []*file) {
	t.Helper()
	if testing.Short() {
		t.Skip("compiles the verifier and type-checks it: not in short runs")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skipf("needs the go command: %v", err)
	}
	t.Chdir(filepath.Join("..", ".."))
	ms, files, err := load()
	if err != nil {
		t.Fatal(err)
	}
	return ms, files
}

// TestEquivalents checks that the committed list names mutants that there are,
// each with its reason, and that names tell mutants apart.
func TestEquivalents(t *testing.T) {
	ms, _ := loaded(t)
	if _, err := readEquivalents(equivalentsFile, ms); err != nil {
		t.Error(err)
	}
	names := map[string]bool{}
	for _, m := range ms {
		if names[m.name()] {
			t.Errorf("two mutants are called %s", m.name())
		}
		names[m.name()] = true
	}
}

// TestSchemata parses the files with all mutants in them, and looks for each
// mutant's number.
func TestSchemata(t *testing.T) {
	ms, files := loaded(t)
	numbers := map[string]bool{}
	for _, f := range files {
		text := render(f.src, 0, len(f.src), f.points)
		tree, err := parser.ParseFile(token.NewFileSet(), f.path, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			if c, ok := n.(*ast.CallExpr); ok {
				if id, ok := c.Fun.(*ast.Ident); ok && id.Name == "mutantOn" {
					numbers[c.Args[0].(*ast.BasicLit).Value] = true
				}
			}
			return true
		})
	}
	if len(numbers) != len(ms) || len(ms) < 500 {
		t.Errorf("%d mutants, of which %d are in the code", len(ms), len(numbers))
	}
}

// TestOperators compares the mutants of a function with what the operators
// promise: a check is only weakened.
func TestOperators(t *testing.T) {
	everything = true
	defer func() { everything = false }()
	ms, _ := loaded(t)
	got := map[string]bool{}
	for _, m := range ms {
		if strings.HasSuffix(m.file, "/exec_mem.go") && m.function == "machine.within" {
			got[strings.TrimPrefix(m.name(), m.file+" machine.within: ")] = true
		}
	}
	for _, want := range []string{
		"check: n.SMin() < -maxOffset || n.SMax() > maxOffset => false",
		"part: n.SMin() < -maxOffset => false",
		"weaken: n.SMax() > maxOffset => n.SMax() > (maxOffset) + 1",
		"weaken: n.SMin() < low => n.SMin() < (low) - 1",
		"bound: e.SMax() <= m.s.Num(limit).SMin() => e.SMax() < m.s.Num(limit).SMin()",
		"check: p.V == state.Zero => false",
		"always: p.Kind == state.Stack => true",
		"sign: p.C + off => p.C - off",
		"argument: m.s.ALU64(isa.Add, 0, start, size) => start",
		"delete: low, high = -state.StackSize, 0",
	} {
		if !got[want] {
			t.Errorf("there is no mutant %q", want)
		}
	}
	if got["always: n.SMin() < low => true"] {
		t.Error("a check is made stricter")
	}
}

// TestStaleEquivalents checks that a list which has fallen behind is refused.
func TestStaleEquivalents(t *testing.T) {
	m := &mutant{file: "f.go", function: "f", operator: opNever, right: "x", wrong: "false"}
	path := filepath.Join(t.TempDir(), "list")
	for _, tc := range []struct {
		text string
		ok   bool
	}{
		{"", true},
		{"# a comment\n\n" + m.name() + "\tx is true\n", true},
		{m.name() + "\n", false},
		{"f.go f: never: y => false\ty is true\n", false},
		{m.name() + "\tx is true\n" + m.name() + "\tx is true\n", false},
	} {
		if err := os.WriteFile(path, []byte(tc.text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := readEquivalents(path, []*mutant{m}); (err == nil) != tc.ok {
			t.Errorf("%q: %v", tc.text, err)
		}
	}
}

package verifier

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/prog"
)

// exampleMaps are the maps of examples.
var exampleMaps = append(testMaps[:len(testMaps):len(testMaps)], lockedMap)

// TestRules runs the example of every code.
func TestRules(t *testing.T) {
	for _, r := range Rules() {
		t.Run(string(r.Code), func(t *testing.T) {
			insns, err := prog.Assemble(r.Example.Asm)
			if err != nil {
				t.Fatal(err)
			}
			p, err := prog.FromInsns("example", linux.Platform.Type(r.Example.Type), insns, exampleMaps)
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = Verify(context.Background(), p, r.Example.Options)
			var e *Error
			if !errors.As(err, &e) || e.Code != r.Code {
				t.Fatalf("got %v, want %s", err, r.Code)
			}
			if r.Text == "" || e.Msg == "" {
				t.Error("the rule has no text, or the error none")
			}
			if lines := strings.Split(e.Explain(), "\n"); !strings.Contains(lines[0], string(r.Code)) || !strings.Contains(lines[0], e.Msg) {
				t.Errorf("the first line of the explanation has not the code and the message:\n%s", e.Explain())
			}
			t.Log("\n" + e.Explain())
		})
	}
}

// TestRuleOfEveryCode looks for codes without a rule.
func TestRuleOfEveryCode(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "codes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			if id, ok := v.Type.(*ast.Ident); !ok || id.Name != "Code" {
				continue
			}
			n++
			code := strings.Trim(v.Values[0].(*ast.BasicLit).Value, `"`)
			if Code(code).Rule() == nil {
				t.Errorf("%s, %q, has no rule", v.Names[0].Name, code)
			}
		}
	}
	if n != len(rules) {
		t.Errorf("%d codes and %d rules", n, len(rules))
	}
}

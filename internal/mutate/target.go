package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const module = "github.com/skepvm/skep"

// A target is a package whose files are mutated. Files that are not named
// neither decide a verdict nor what engines are told: they describe, explain,
// count, or recycle memory.
type target struct {
	pkg   string
	files []string
}

var targets = []target{
	{"verifier/internal/tnum", []string{"tnum.go", "arith.go", "range.go", "width.go"}},
	{"verifier/internal/scalar", []string{
		"scalar.go", "ranges.go", "reduce.go", "arith.go", "divide.go", "logic.go", "shift.go", "extend.go", "alu.go", "assume.go", "backward.go", "widen.go",
	}},
	{"verifier/internal/state", []string{"state.go", "value.go", "edge.go", "assume.go", "memory.go", "held.go", "join.go", "canon.go"}},
	{"verifier", []string{
		"exec.go", "exec_mem.go", "exec_call.go", "exec_branch.go", "exec_enter.go", "exec_iter.go", "exec_lock.go", "exec_object.go", "exec_dynptr.go",
		"control.go", "contract.go", "async.go", "stack.go", "specs.go", "structure.go", "facts.go", "guide.go", "exception.go", "solve.go", "classes.go", "queue.go", "progress.go", "terminate.go", "cfg.go",
	}},
}

// spared are functions in those files that no verdict of acceptance rests on,
// with the reason.
var spared = map[string]string{
	"fail":          "makes the error, whoever asked for it",
	"badArgument":   "makes the error",
	"explain":       "makes the error's explanation",
	"sizeText":      "text",
	"text":          "text",
	"String":        "text",
	"limits":        "bounds the work; what it lets through is still proved",
	"pop":           "order of the exploration",
	"push":          "order of the exploration",
	"decided":       "how many classes of states there are; only states that Same and Leq compare are merged",
	"bucketOf":      "as decided",
	"coarsen":       "as decided",
	"newThresholds": "where widening stops: precision",
	"NewThresholds": "where widening stops: precision",
	"Possible":      "sorts states into classes: precision",
	"Busiest":       "as decided",
	"less":          "chooses one of equal measures",
	"own":           "copies before writing: memory",
	"perFrame":      "what is dead: forgetting more is sound, and less is slower",
	"clean":         "forgets: sound, and what it keeps is slower",
	"Clean":         "forgets: sound, and what it keeps is slower",
	"writes":        "which branches decided looks at",
	"loopChanges":   "which places progress is looked for at: precision",
	"newContracts":  "which functions are proved by contract: either way is sound",
	"callChains":    "as newContracts",
	"mapName":       "text",
	"Bytes":         "statistics",
}

// A file is a source file with the places in it that are mutated.
type file struct {
	path   string // from the root of the module
	src    []byte
	points []*point
}

// load finds all mutants, in a fixed order.
func load() ([]*mutant, []*file, error) {
	exports, err := exportData()
	if err != nil {
		return nil, nil, err
	}
	var ms []*mutant
	var files []*file
	for _, t := range targets {
		fs, err := loadPackage(t, exports)
		if err != nil {
			return nil, nil, err
		}
		for _, f := range fs {
			for _, p := range f.points {
				ms = append(ms, p.mutants...)
			}
		}
		files = append(files, fs...)
	}
	number(ms)
	return ms, files, nil
}

// number gives mutants their ids, and those of one name in one function an
// ordinal. Mutants of one place are neighbours.
func number(ms []*mutant) {
	seen := map[string]int{}
	for i, m := range ms {
		m.id = i + 1
		m.ordinal = 0
		name := m.name()
		seen[name]++
		m.ordinal = seen[name]
	}
}

func loadPackage(t target, exports map[string]string) ([]*file, error) {
	fset := token.NewFileSet()
	out, err := goCommand("list", "-json=GoFiles", "./"+t.pkg)
	if err != nil {
		return nil, err
	}
	var list struct{ GoFiles []string }
	if err := json.Unmarshal(out, &list); err != nil {
		return nil, err
	}
	var trees []*ast.File
	sources := map[string][]byte{}
	for _, name := range list.GoFiles {
		src, err := os.ReadFile(filepath.Join(t.pkg, name))
		if err != nil {
			return nil, err
		}
		tree, err := parser.ParseFile(fset, name, src, 0)
		if err != nil {
			return nil, err
		}
		trees, sources[name] = append(trees, tree), src
	}
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}}
	conf := types.Config{Importer: importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, fmt.Errorf("no export data of %s", path)
		}
		return os.Open(exports[path])
	})}
	pkg, err := conf.Check(module+"/"+t.pkg, fset, trees, info)
	if err != nil {
		return nil, err
	}
	var files []*file
	for _, name := range t.files {
		i := slices.Index(list.GoFiles, name)
		if i < 0 {
			return nil, fmt.Errorf("%s has no %s", t.pkg, name)
		}
		f := &file{path: t.pkg + "/" + name, src: sources[name]}
		w := &walker{file: f, fset: fset, info: info, pkg: pkg, tree: trees[i]}
		w.walk()
		files = append(files, f)
	}
	return files, nil
}

// exportData returns the export files of everything that the targets import.
func exportData() (map[string]string, error) {
	args := []string{"list", "-export", "-deps", "-json=ImportPath,Export"}
	for _, t := range targets {
		args = append(args, "./"+t.pkg)
	}
	out, err := goCommand(args...)
	if err != nil {
		return nil, err
	}
	exports := map[string]string{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct{ ImportPath, Export string }
		if err := dec.Decode(&p); err == io.EOF {
			return exports, nil
		} else if err != nil {
			return nil, err
		}
		exports[p.ImportPath] = p.Export
	}
}

func goCommand(args ...string) ([]byte, error) {
	cmd := exec.Command("go", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, &stderr)
	}
	return out, nil
}

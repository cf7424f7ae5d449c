package main

import (
	"crypto/sha256"
	"encoding/hex"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"hash/fnv"
	"strconv"
	"strings"
)

// The operators. A check is an if, or a case, that ends in the return of an
// error: it is only ever weakened, because a check that refuses more is safe.
const (
	opCheck    = "check"    // a check never refuses
	opPart     = "part"     // a check does not ask one of the things that it asks
	opWeaken   = "weaken"   // a comparison of a check lets one more value pass
	opNever    = "never"    // another condition is false
	opAlways   = "always"   // another condition is true
	opBound    = "bound"    // < becomes <=, and so on
	opOperand  = "operand"  // one side of && or || decides alone
	opMinMax   = "min/max"  // min becomes max, and the reverse
	opDelete   = "delete"   // a statement is left out
	opSign     = "sign"     // + becomes −, & becomes |, and so on
	opConstant = "constant" // a constant is one larger
	opArgument = "argument" // a call gives its argument as it is
)

// share is how many in a hundred mutants of an operator are taken, where there
// are more than anybody would look at; the rest take all. The choice hangs on
// the mutant's name alone.
var share = map[string]uint32{
	opNever: 12, opAlways: 6, opBound: 12, opOperand: 7, opMinMax: 30, opDelete: 15, opSign: 6, opConstant: 3, opArgument: 20,
}

// everything takes all mutants.
var everything bool

// A walker finds the points of one file.
type walker struct {
	file *file
	fset *token.FileSet
	info *types.Info
	pkg  *types.Package
	tree *ast.File

	function  string
	hash      string
	returnErr bool // the function's last result is an error
}

func (w *walker) walk() {
	for _, d := range w.tree.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil || spared[fn.Name.Name] != "" {
			continue
		}
		w.function = fn.Name.Name
		if fn.Recv != nil {
			w.function = strings.TrimPrefix(w.text(fn.Recv.List[0].Type), "*") + "." + w.function
		}
		sum := sha256.Sum256([]byte(w.text(fn)))
		w.hash = hex.EncodeToString(sum[:6])
		w.returnErr = returnsError(w.info, fn.Type)
		w.block(fn.Body.List)
	}
	sortPoints(w.file.points)
}

func returnsError(info *types.Info, t *ast.FuncType) bool {
	if t.Results == nil {
		return false
	}
	last := t.Results.List[len(t.Results.List)-1]
	return types.Identical(info.TypeOf(last.Type), types.Universe.Lookup("error").Type())
}

func (w *walker) offset(p token.Pos) int { return w.fset.Position(p).Offset }

// text returns the source of n in one line.
func (w *walker) text(n ast.Node) string {
	return strings.Join(strings.Fields(string(w.file.src[w.offset(n.Pos()):w.offset(n.End())])), " ")
}

// add adds a mutant of n, unless the sample leaves it out.
func (w *walker) add(n ast.Node, kind pointKind, operator, wrong string) {
	m := &mutant{file: w.file.path, function: w.function, operator: operator, right: w.text(n), wrong: wrong, hash: w.hash}
	if s := share[operator]; s != 0 && !everything {
		h := fnv.New32a()
		h.Write([]byte(m.name()))
		if h.Sum32()>>8%100 >= s {
			return
		}
	}
	start, end := w.offset(n.Pos()), w.offset(n.End())
	for _, p := range w.file.points {
		if p.start == start && p.end == end && p.kind == kind && kind != statement {
			for _, o := range p.mutants {
				if o.wrong == wrong {
					return
				}
			}
			p.mutants = append(p.mutants, m)
			return
		}
	}
	typ := ""
	if kind == value {
		if typ = w.typeText(n.(ast.Expr)); typ == "" {
			return
		}
	}
	w.file.points = append(w.file.points, &point{start: start, end: end, kind: kind, typ: typ, mutants: []*mutant{m}})
}

// typeText spells the type of e as the file would; "" if it cannot.
func (w *walker) typeText(e ast.Expr) string {
	t := w.info.TypeOf(e)
	if b, ok := t.(*types.Basic); t == nil || ok && b.Info()&types.IsUntyped != 0 {
		return ""
	}
	missing := false
	text := types.TypeString(t, func(p *types.Package) string {
		if p == w.pkg {
			return ""
		}
		for _, i := range w.tree.Imports {
			if strings.Trim(i.Path.Value, `"`) == p.Path() {
				return p.Name()
			}
		}
		missing = true
		return p.Name()
	})
	if missing {
		return ""
	}
	return text
}

func (w *walker) block(list []ast.Stmt) {
	for _, s := range list {
		switch s := s.(type) {
		case *ast.ExprStmt:
			if call, ok := s.X.(*ast.CallExpr); ok && !w.isPanic(call) {
				w.add(s, statement, opDelete, "")
			}
		case *ast.AssignStmt:
			if s.Tok != token.DEFINE && !w.blank(s) {
				w.add(s, statement, opDelete, "")
			}
		case *ast.IncDecStmt:
			w.add(s, statement, opDelete, "")
		}
		w.stmt(s)
	}
}

func (w *walker) isPanic(c *ast.CallExpr) bool {
	id, ok := c.Fun.(*ast.Ident)
	return ok && id.Name == "panic"
}

func (w *walker) blank(s *ast.AssignStmt) bool {
	for _, l := range s.Lhs {
		if id, ok := l.(*ast.Ident); !ok || id.Name != "_" {
			return false
		}
	}
	return true
}

// stmt finds the points inside s.
func (w *walker) stmt(s ast.Stmt) {
	switch s := s.(type) {
	case nil:
	case *ast.BlockStmt:
		w.block(s.List)
	case *ast.IfStmt:
		w.stmt(s.Init)
		if w.refuses(s.Body.List) && s.Else == nil {
			w.check(s.Cond)
		} else {
			w.cond(s.Cond)
		}
		w.block(s.Body.List)
		w.stmt(s.Else)
	case *ast.ForStmt:
		w.stmt(s.Init)
		if s.Cond != nil {
			w.operands(s.Cond)
		}
		w.block(s.Body.List)
	case *ast.RangeStmt:
		w.expr(s.X)
		w.block(s.Body.List)
	case *ast.SwitchStmt:
		w.stmt(s.Init)
		if s.Tag != nil {
			w.expr(s.Tag)
		}
		for _, c := range s.Body.List {
			c := c.(*ast.CaseClause)
			for _, e := range c.List {
				switch {
				case s.Tag != nil:
				case w.refuses(c.Body):
					w.check(e)
				default:
					w.cond(e)
				}
			}
			w.block(c.Body)
		}
	case *ast.LabeledStmt:
		w.stmt(s.Stmt)
	case *ast.ReturnStmt:
		for _, e := range s.Results {
			if w.isBool(e) {
				w.cond(e)
			} else {
				w.expr(e)
			}
		}
	case *ast.AssignStmt:
		for _, e := range s.Rhs {
			w.expr(e)
		}
	case *ast.ExprStmt:
		w.expr(s.X)
	case *ast.DeclStmt:
		if g, ok := s.Decl.(*ast.GenDecl); ok && g.Tok == token.VAR {
			for _, spec := range g.Specs {
				for _, e := range spec.(*ast.ValueSpec).Values {
					w.expr(e)
				}
			}
		}
	}
}

// refuses reports whether a body ends in the return of an error, or passes one on.
func (w *walker) refuses(body []ast.Stmt) bool {
	if !w.returnErr || len(body) == 0 {
		return false
	}
	ret, ok := body[len(body)-1].(*ast.ReturnStmt)
	if !ok || len(ret.Results) == 0 {
		return false
	}
	last := ret.Results[len(ret.Results)-1]
	id, isIdent := last.(*ast.Ident)
	if isIdent {
		return id.Name != "nil"
	}
	call, ok := last.(*ast.CallExpr)
	if !ok {
		return false
	}
	switch f := call.Fun.(type) {
	case *ast.SelectorExpr:
		return f.Sel.Name == "fail" || f.Sel.Name == "badArgument" || f.Sel.Name == "errorAt" || f.Sel.Name == "unbounded"
	}
	return false
}

func (w *walker) isBool(e ast.Expr) bool {
	t := w.info.Types[e]
	if t.Value != nil || t.Type == nil {
		return false
	}
	b, ok := t.Type.Underlying().(*types.Basic)
	return ok && b.Info()&types.IsBoolean != 0
}

// check weakens the condition of a check: it holds for fewer values.
func (w *walker) check(e ast.Expr) {
	w.add(e, condition, opCheck, "false")
	w.weaken(e, false)
}

// weaken adds mutants of e that hold for fewer values, or for more if negated.
func (w *walker) weaken(e ast.Expr, negated bool) {
	switch e := e.(type) {
	case *ast.ParenExpr:
		w.weaken(e.X, negated)
	case *ast.UnaryExpr:
		if e.Op == token.NOT {
			w.weaken(e.X, !negated)
		}
	case *ast.BinaryExpr:
		x, y := w.text(e.X), w.text(e.Y)
		switch e.Op {
		case token.LAND, token.LOR:
			if (e.Op == token.LOR) != negated {
				for _, side := range []ast.Expr{e.X, e.Y} {
					if b, ok := side.(*ast.BinaryExpr); ok && b.Op == e.Op {
						continue // its own sides are parts
					}
					w.add(side, condition, opPart, strconv.FormatBool(negated))
				}
			}
			w.weaken(e.X, negated)
			w.weaken(e.Y, negated)
		case token.LSS, token.LEQ, token.GTR, token.GEQ:
			if !w.isInt(e.X) {
				return
			}
			op := e.Op
			strict := op == token.LSS || op == token.GTR
			less := op == token.LSS || op == token.LEQ
			var wrong string
			switch {
			case strict != negated: // x < y for fewer: x < y − 1
				delta := " - 1"
				if less == negated {
					delta = " + 1"
				}
				if less != negated {
					delta = " - 1"
				}
				wrong = x + " " + op.String() + " (" + y + ")" + delta
			default: // x <= y for fewer: x < y; x < y for more: x <= y
				wrong = x + " " + flipped(op).String() + " " + y
			}
			w.add(e, condition, opWeaken, wrong)
		default:
			w.expr(e)
		}
	default:
		w.expr(e)
	}
}

func flipped(op token.Token) token.Token {
	return map[token.Token]token.Token{token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR}[op]
}

func (w *walker) isInt(e ast.Expr) bool {
	t := w.info.TypeOf(e)
	if t == nil {
		return false
	}
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&types.IsInteger != 0
}

// cond adds the mutants of a condition that is not a check.
func (w *walker) cond(e ast.Expr) {
	w.add(e, condition, opNever, "false")
	w.add(e, condition, opAlways, "true")
	w.operands(e)
}

// operands adds the mutants inside a condition.
func (w *walker) operands(e ast.Expr) {
	switch e := e.(type) {
	case *ast.ParenExpr:
		w.operands(e.X)
	case *ast.UnaryExpr:
		if e.Op == token.NOT {
			w.operands(e.X)
		} else {
			w.expr(e)
		}
	case *ast.BinaryExpr:
		switch e.Op {
		case token.LAND, token.LOR:
			w.add(e, condition, opOperand, w.text(e.X))
			w.add(e, condition, opOperand, w.text(e.Y))
			w.operands(e.X)
			w.operands(e.Y)
		case token.LSS, token.LEQ, token.GTR, token.GEQ:
			if w.isInt(e.X) {
				w.add(e, condition, opBound, w.text(e.X)+" "+flipped(e.Op).String()+" "+w.text(e.Y))
			}
			w.expr(e.X)
			w.expr(e.Y)
		default:
			w.expr(e.X)
			w.expr(e.Y)
		}
	default:
		w.expr(e)
	}
}

// arithmetic is what opSign makes of operators.
var arithmetic = map[token.Token]token.Token{
	token.ADD: token.SUB, token.SUB: token.ADD, token.MUL: token.ADD, token.QUO: token.MUL,
	token.AND: token.OR, token.OR: token.AND, token.AND_NOT: token.AND, token.XOR: token.OR,
	token.SHL: token.SHR, token.SHR: token.SHL,
}

// expr adds the mutants of values inside e.
func (w *walker) expr(e ast.Expr) {
	if e == nil {
		return
	}
	if v := w.info.Types[e].Value; v != nil {
		if v.Kind() != constant.Int || !w.isInt(e) {
			return
		}
		if n, exact := constant.Int64Val(v); exact && n >= 0 && n < 127 { // one more fits any type
			w.add(e, value, opConstant, w.text(e)+" + 1")
		}
		return
	}
	switch e := e.(type) {
	case *ast.ParenExpr:
		w.expr(e.X)
	case *ast.UnaryExpr:
		if e.Op == token.NOT {
			w.operands(e.X)
		} else if e.Op != token.AND { // an address must stay one
			w.expr(e.X)
		}
	case *ast.BinaryExpr:
		switch e.Op {
		case token.LAND, token.LOR, token.LSS, token.LEQ, token.GTR, token.GEQ:
			w.operands(e)
			return
		}
		if to, ok := arithmetic[e.Op]; ok && w.isInt(e) {
			w.add(e, value, opSign, w.text(e.X)+" "+to.String()+" "+w.text(e.Y))
		}
		w.expr(e.X)
		w.expr(e.Y)
	case *ast.CallExpr:
		w.call(e)
	case *ast.CompositeLit:
		for _, x := range e.Elts {
			if kv, ok := x.(*ast.KeyValueExpr); ok {
				x = kv.Value
			}
			w.expr(x)
		}
	case *ast.FuncLit:
		before := w.returnErr
		w.returnErr = returnsError(w.info, e.Type)
		w.block(e.Body.List)
		w.returnErr = before
	}
}

func (w *walker) call(e *ast.CallExpr) {
	if w.info.Types[e.Fun].IsType() { // a conversion
		w.expr(e.Args[0])
		return
	}
	if id, ok := e.Fun.(*ast.Ident); ok {
		args := strings.TrimPrefix(w.text(e), id.Name)
		switch id.Name {
		case "min":
			w.add(e, value, opMinMax, "max"+args)
		case "max":
			w.add(e, value, opMinMax, "min"+args)
		case "make", "new", "append", "len", "cap", "copy", "clear", "panic", "recover":
			if id.Name == "append" {
				for _, a := range e.Args[1:] {
					w.expr(a)
				}
			}
			return
		}
	} else if t := w.info.TypeOf(e); t != nil {
		if _, ok := t.(*types.Tuple); !ok && !w.isBool(e) {
			for _, a := range e.Args {
				if types.Identical(w.info.TypeOf(a), t) {
					w.add(e, value, opArgument, w.text(a))
					break
				}
			}
		}
	}
	if f, ok := e.Fun.(*ast.SelectorExpr); ok && (f.Sel.Name == "fail" || f.Sel.Name == "badArgument" || f.Sel.Name == "errorAt" || f.Sel.Name == "Errorf") {
		return // words
	}
	for _, a := range e.Args {
		if !w.isBool(a) {
			w.expr(a)
		} else {
			w.operands(a)
		}
	}
	if f, ok := e.Fun.(*ast.SelectorExpr); ok {
		if c, ok := f.X.(*ast.CallExpr); ok {
			w.expr(c)
		}
	}
}

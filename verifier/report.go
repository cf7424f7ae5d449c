package verifier

import (
	"fmt"
	"path"
	"strings"

	"github.com/skepvm/skep/prog"
)

// maxShown is how many decisions Explain prints.
const maxShown = 12

// Explain returns what there is to say about e, in lines for people: the place
// in C and the failed check, the source line, the instruction and what its
// operands hold, what would fix it; then the instructions that made the
// refused value, the decisions that led there, and the rule.
func (e *Error) Explain() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s: %s [%s]\n", e.Prog, e.where(), e.Msg, e.Code)
	if e.Line.Text != "" {
		text, caret := trimmed(e.Line)
		fmt.Fprintf(&b, "%6d | %s\n", e.Line.Num, text)
		if caret >= 0 {
			fmt.Fprintf(&b, "%6s | %s^ ", "", strings.Repeat(" ", caret))
		} else {
			fmt.Fprintf(&b, "%6s | ", "")
		}
	} else {
		b.WriteString("       | ")
	}
	fmt.Fprintf(&b, "%d: %s\n", e.PC, e.Insn)
	if len(e.Values) > 0 {
		b.WriteString("  values:")
		for _, v := range e.Values {
			fmt.Fprintf(&b, " %s=%s", v.Place, v.Text)
		}
		b.WriteByte('\n')
	}
	if e.Hint != "" {
		fmt.Fprintf(&b, "  fix: %s\n", e.Hint)
	}
	if len(e.Causes) > 0 {
		heading := "made by"
		if e.Code == Unbounded {
			heading = "left at"
		}
		fmt.Fprintf(&b, "  %s:\n", heading)
		p := e.newPlaces()
		for _, c := range e.Causes {
			p.line(&b, c.Line)
			fmt.Fprintf(&b, "        %4d: %s\n", c.PC, c.Insn)
		}
	}
	e.writePath(&b, maxShown)
	if r := e.Code.Rule(); r != nil {
		fmt.Fprintf(&b, "  rule: %s\n", r.Text)
	}
	return b.String()
}

// ExplainPath returns the whole path in lines for people; empty if no decision
// leads to the error. Explain has its end.
func (e *Error) ExplainPath() string {
	var b strings.Builder
	e.writePath(&b, len(e.Path))
	return b.String()
}

// writePath writes the last n decisions of the path, below their source lines.
func (e *Error) writePath(b *strings.Builder, n int) {
	if len(e.Path) == 0 {
		return
	}
	b.WriteString("  path:\n")
	steps := e.Path
	if len(steps) > n {
		fmt.Fprintf(b, "        … %d decisions before these\n", len(steps)-n)
		steps = steps[len(steps)-n:]
	}
	p := e.newPlaces()
	for _, s := range steps {
		p.line(b, s.Line)
		fmt.Fprintf(b, "        %4d: %s: %s", s.PC, s.Insn, s.Note)
		if s.Times > 1 {
			fmt.Fprintf(b, " ×%d", s.Times)
		}
		b.WriteByte('\n')
	}
}

// where returns the place of e: file and line, or the instruction.
func (e *Error) where() string {
	if e.Line.Num != 0 {
		return fmt.Sprintf("%s:%d", path.Clean(e.Line.File), e.Line.Num)
	}
	return fmt.Sprintf("instruction %d", e.PC)
}

// places prints source lines, each once as long as it stays the same.
type places struct {
	file string
	last prog.Line
}

func (e *Error) newPlaces() *places { return &places{file: e.Line.File} }

func (p *places) line(b *strings.Builder, l prog.Line) {
	if l.Num == 0 || l.File == p.last.File && l.Num == p.last.Num {
		return
	}
	p.last = l
	text, _ := trimmed(l)
	if l.File != p.file {
		text += "  // " + path.Clean(l.File)
	}
	fmt.Fprintf(b, "%6d | %s\n", l.Num, text)
}

// trimmed returns the text of l without blanks around it, and where l's column
// is in it; −1 if that is not known.
func trimmed(l prog.Line) (text string, caret int) {
	text = strings.TrimLeft(l.Text, " \t")
	caret = l.Col - 1 - (len(l.Text) - len(text))
	text = strings.TrimRight(text, " \t\r\n")
	if l.Col == 0 || caret < 0 || caret >= len(text) {
		caret = -1
	}
	return strings.ReplaceAll(text, "\t", " "), caret
}

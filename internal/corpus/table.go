package main

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/prog"
)

// A row is one program of the table: tab-separated columns, named in its first
// line. Of these are read object, section and function, which name it;
// kernel_type, for sections that name no type; prevail and kernel, the verdicts
// of both when the table was made (PASS, FAIL or ERROR; LOADS, REJECTED or
// CANNOT, that is, it could not be asked); and prevail_user_s.
type row struct {
	object, section, function string
	kernelType                string
	prevail, kernel           string
	prevailTime               time.Duration
}

func (r *row) name() string { return r.object + ":" + r.section + ":" + r.function }

// wanted reports whether the row counts among the programs to accept: those
// that the kernel loads, or PREVAIL passes where the kernel could not be asked.
func (r *row) wanted() bool {
	return r.kernel == "LOADS" || r.kernel == "CANNOT" && r.prevail == "PASS"
}

func readTable(name string) ([]*row, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	var columns []string
	var rows []*row
	for sc.Scan() {
		cells := strings.Split(sc.Text(), "\t")
		if columns == nil {
			columns = cells
			continue
		}
		if len(cells) > len(columns) {
			return nil, fmt.Errorf("%s: line %d has %d cells below %d columns", name, len(rows)+2, len(cells), len(columns))
		}
		cell := func(column string) string {
			if i := slices.Index(columns, column); i >= 0 && i < len(cells) {
				return cells[i]
			}
			return ""
		}
		r := &row{
			object: cell("object"), section: cell("section"), function: cell("function"),
			kernelType: cell("kernel_type"), prevail: cell("prevail"), kernel: cell("kernel"),
		}
		if s, err := strconv.ParseFloat(cell("prevail_user_s"), 64); err == nil {
			r.prevailTime = time.Duration(s * float64(time.Second))
		}
		rows = append(rows, r)
	}
	return rows, sc.Err()
}

// find returns the program of o that r means; nil if o has none of that name.
// Objects without names for their programs call them as their section.
func (r *row) find(o *prog.Object) *prog.Spec {
	i := slices.IndexFunc(o.Programs, func(s *prog.Spec) bool { return s.Section == r.section && s.Name == r.function })
	if i < 0 && r.section == r.function {
		i = slices.IndexFunc(o.Programs, func(s *prog.Spec) bool { return s.Section == r.section })
	}
	if i < 0 {
		return nil
	}
	return o.Programs[i]
}

// typeNamed returns the program type that the table calls name: the kernel's,
// as Go identifiers.
func typeNamed(name string) *hook.Type {
	plain := strings.ToLower(name)
	for i, n := range kernelTypes {
		if i > 0 && strings.ReplaceAll(n, "_", "") == plain {
			return linux.Platform.Type(n)
		}
	}
	return nil
}

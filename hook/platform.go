package hook

import (
	"fmt"
	"strings"
)

// Extend returns p with types added. Their names and sections are found before
// p's own; helper numbers are each type's affair.
func Extend(p Platform, types ...*Type) (Platform, error) {
	e := &extended{Platform: p}
	for _, t := range types {
		if err := t.Check(); err != nil {
			return nil, err
		}
		for _, o := range e.own {
			if o.Name == t.Name {
				return nil, fmt.Errorf("program type %s: twice", t.Name)
			}
		}
		e.own = append(e.own, t)
	}
	return e, nil
}

type extended struct {
	Platform
	own []*Type
}

func (e *extended) Types() []*Type {
	return append(append([]*Type(nil), e.own...), e.Platform.Types()...)
}

func (e *extended) Type(name string) *Type {
	for _, t := range e.own {
		if t.Name == name {
			return t
		}
	}
	return e.Platform.Type(name)
}

func (e *extended) Section(name string) (Section, bool) {
	for _, t := range e.own {
		sections := t.Sections
		if sections == nil {
			sections = []string{t.Name}
		}
		for _, s := range sections {
			if name == s {
				return Section{Type: t}, true
			}
			if target, ok := strings.CutPrefix(name, s+"/"); ok {
				return Section{Type: t, Attach: target}, true
			}
		}
	}
	return e.Platform.Section(name)
}

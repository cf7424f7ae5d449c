package elf

import (
	"strings"

	"github.com/skepvm/skep/hook"
)

// sectionType returns what a section's name says of the programs in it; the
// zero Section if it names no type. A leading "?" asks libbpf not to load the
// program unless told to; the user decides that here anyway.
func (l *loader) sectionType(name string) hook.Section {
	sec, _ := l.opts.Platform.Section(strings.TrimPrefix(name, "?"))
	return sec
}

package hook

import (
	"errors"
	"fmt"
	"strings"
)

// A fieldTag is what the bpf tag of a Go field says.
type fieldTag struct {
	name     string
	rw, skip bool
}

// parseTag reads `-`, `name`, `rw` or `name,rw`.
func parseTag(s string) (fieldTag, error) {
	var t fieldTag
	switch s {
	case "":
		return t, nil
	case "-":
		return fieldTag{skip: true}, nil
	}
	for i, part := range strings.Split(s, ",") {
		switch {
		case part == "rw" && t.rw:
			return t, errors.New("rw twice")
		case part == "rw":
			t.rw = true
		case i > 0:
			return t, fmt.Errorf("unknown option %q; rw is the only one", part)
		case !isIdentifier(part):
			return t, fmt.Errorf("%q is not a C identifier", part)
		default:
			t.name = part
		}
	}
	return t, nil
}

// snakeCase turns a Go name into a C one: RemoteAddr to remote_addr, HTTPCode
// to http_code.
func snakeCase(s string) string {
	var b strings.Builder
	upper := func(i int) bool { return i < len(s) && s[i] >= 'A' && s[i] <= 'Z' }
	for i := range len(s) {
		if upper(i) {
			if i > 0 && s[i-1] != '_' && (!upper(i-1) || i+1 < len(s) && !upper(i+1)) {
				b.WriteByte('_')
			}
			b.WriteByte(s[i] + 'a' - 'A')
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// isIdentifier reports whether C takes s as a name.
func isIdentifier(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != "" && !cKeywords[s]
}

// cKeywords are the keywords of C11.
var cKeywords = func() map[string]bool {
	m := map[string]bool{}
	for _, k := range strings.Fields(`auto break case char const continue default do double else enum extern float
		for goto if inline int long register restrict return short signed sizeof static struct switch typedef
		union unsigned void volatile while asm typeof _Alignas _Alignof _Atomic _Bool _Complex _Generic
		_Imaginary _Noreturn _Static_assert _Thread_local`) {
		m[k] = true
	}
	return m
}()

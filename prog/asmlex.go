package prog

import (
	"fmt"
	"strconv"
	"strings"
)

// A token is a word of assembly text. Its kind is 'r' or 'w' for a register by
// width, 'n' for a number, 'i' for a name and 'o' for anything else.
type token struct {
	kind  byte
	text  string // name or operator; for a number, the label it stands for
	value uint64 // register or magnitude
	neg   bool   // the number is -value
	slot  string // in a pattern: the field that takes the value; "" if it is fixed
}

// operators are the tokens of more than one character that are not names,
// longest first.
var operators = []string{
	"s>>=",
	"<<=", ">>=", "s>=", "s<=", "s/=", "s%=",
	"+=", "-=", "*=", "/=", "|=", "&=", "^=", "%=", "==", "!=", ">=", "<=", "s>", "s<",
}

// lex splits a line, or a pattern of the instruction table, into tokens. A sign
// before a number belongs to it, with or without space between. Comments end
// the line.
func lex(s string) ([]token, error) {
	var out []token
	blank := true // the previous character is white space, or there is none
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == ' ' || c == '\t' || c == '\r':
			blank = true
			i++
			continue
		case c == ';', c == '#' && blank, strings.HasPrefix(s[i:], "//"):
			return out, nil
		}
		blank = false
		if t, n, err := lexNumber(s[i:]); err != nil {
			return nil, err
		} else if n > 0 {
			out = append(out, t)
			i += n
			continue
		}
		if op := operatorAt(s[i:]); op != "" {
			out = append(out, token{kind: 'o', text: op})
			i += len(op)
			continue
		}
		if n := nameLen(s[i:]); n > 0 {
			t, more, err := lexName(s[i:i+n], s[i+n:])
			if err != nil {
				return nil, err
			}
			out = append(out, t)
			i += n + more
			continue
		}
		if c < ' ' || c > '~' {
			return nil, fmt.Errorf("character %q", rune(c))
		}
		out = append(out, token{kind: 'o', text: s[i : i+1]})
		i++
	}
	return out, nil
}

func operatorAt(s string) string {
	for _, op := range operators {
		if strings.HasPrefix(s, op) {
			return op
		}
	}
	return ""
}

// lexNumber reads a number or a field of a pattern, with its sign; n is how
// many bytes it takes, 0 if there is none.
func lexNumber(s string) (t token, n int, err error) {
	i := 0
	if s[0] == '+' || s[0] == '-' {
		for i++; i < len(s) && s[i] == ' '; i++ {
		}
	}
	t = token{kind: 'n', neg: s[0] == '-'}
	if i > 1 && s[0] == '+' && i < len(s) && s[i] == '-' { // "skb[r1 + -4]"
		t.neg = true
		i++
	}
	if strings.HasPrefix(s[i:], "{") {
		name, _, closed := strings.Cut(s[i+1:], "}")
		if !closed {
			return t, 0, nil
		}
		t.slot = name
		return t, i + len(name) + 2, nil
	}
	if i == len(s) || s[i] < '0' || s[i] > '9' {
		return t, 0, nil
	}
	end := i
	for end < len(s) && isNameByte(s[end]) {
		end++
	}
	digits := s[i:end]
	base, text := 10, digits
	if len(text) > 1 && (text[1] == 'x' || text[1] == 'X') {
		base, text = 16, text[2:]
	}
	t.value, err = strconv.ParseUint(text, base, 64)
	if err != nil {
		return t, 0, fmt.Errorf("number %.40s: not an integer of 64 bits", digits)
	}
	return t, i + len(digits), nil
}

// nameLen returns the length of the name that s begins with.
func nameLen(s string) int {
	if s == "" || '0' <= s[0] && s[0] <= '9' {
		return 0
	}
	n := 0
	for n < len(s) && isNameByte(s[n]) {
		n++
	}
	return n
}

func isNameByte(c byte) bool {
	return c == '_' || c == '.' || c == '$' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// lexName tells registers from names. In a pattern the register's number is a
// field in braces, which is in rest; more is its length.
func lexName(name, rest string) (t token, more int, err error) {
	if name == "r" || name == "w" {
		if slot, _, ok := strings.Cut(strings.TrimPrefix(rest, "{"), "}"); ok && strings.HasPrefix(rest, "{") {
			return token{kind: name[0], slot: slot}, len(slot) + 2, nil
		}
	}
	if len(name) < 2 || name[0] != 'r' && name[0] != 'w' || strings.Trim(name[1:], "0123456789") != "" {
		return token{kind: 'i', text: name}, 0, nil
	}
	n, err := strconv.Atoi(name[1:])
	if err != nil || n >= NumRegs {
		return t, 0, fmt.Errorf("register %.20s: they go from %c0 to %c10", name, name[0], name[0])
	}
	return token{kind: name[0], value: uint64(n)}, 0, nil
}

// shape returns what a line looks like apart from its numbers: the key under
// which the patterns it can match are found.
func shape(tokens []token) string {
	var b strings.Builder
	for i, t := range tokens {
		if i > 0 {
			b.WriteByte(' ')
		}
		if t.kind == 'i' || t.kind == 'o' {
			b.WriteString(t.text)
		} else {
			b.WriteByte(t.kind)
		}
	}
	return b.String()
}

package main

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// parseHex returns the bytes that s spells. Blanks and colons between bytes
// and a leading 0x are allowed.
func parseHex(s string) ([]byte, error) {
	digits := strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t\r\n:", r) {
			return -1
		}
		return r
	}, s)
	digits = strings.TrimPrefix(digits, "0x")
	b, err := hex.DecodeString(digits)
	if err != nil {
		return nil, fmt.Errorf("%q is no sequence of hexadecimal bytes: %w", shorten(s, 40), err)
	}
	return b, nil
}

// shorten returns s, or its first n bytes and dots.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "…"
}

// hexOrFile returns the bytes of a flag that takes HEX or @FILE.
func hexOrFile(s string) ([]byte, error) {
	if name, ok := strings.CutPrefix(s, "@"); ok {
		return readFile(name)
	}
	return parseHex(s)
}

package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestPage compares docs/support.md with the code.
func TestPage(t *testing.T) {
	want, err := page()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../docs/support.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/support.md is not what the code says: run make support")
	}
}

// TestNumbers checks against the kernel's header that the page leaves no map type
// and no helper out.
func TestNumbers(t *testing.T) {
	header, err := os.ReadFile("/usr/include/linux/bpf.h")
	if err != nil {
		t.Skip("no kernel headers here:", err)
	}
	names := map[string]string{} // in lower case, as the page has them
	for _, r := range mapRows() {
		names[strings.ReplaceAll(r.name, "_", "")] = r.number
	}
	for _, m := range regexp.MustCompile(`(?m)^\tBPF_MAP_TYPE_([A-Z_]+)(?: = .*)?,`).FindAllSubmatch(header, -1) {
		name := strings.ToLower(string(m[1]))
		if strings.HasSuffix(name, "_deprecated") || name == "unspec" {
			continue
		}
		if names[strings.ReplaceAll(name, "_", "")] == "" {
			t.Errorf("the page has no map type %s", name)
		}
	}
	helpersOf := map[string]bool{}
	for _, r := range helperRows() {
		helpersOf[r.name] = true
	}
	for _, m := range regexp.MustCompile(`\n\tFN\((\w+), \d+, ##ctx\)`).FindAllSubmatch(header, -1) {
		if name := string(m[1]); name != "unspec" && !helpersOf[name] {
			t.Errorf("the page has no helper %s", name)
		}
	}
}

// TestReasons checks that no reason is given for what needs none: such a reason
// is from before it was there.
func TestReasons(t *testing.T) {
	rows := map[string]row{}
	for _, rs := range [][]row{mapRows(), kfuncRows(), helperRows()} {
		for _, r := range rs {
			rows[r.name] = r
		}
	}
	for what, list := range map[string]struct {
		reasons map[string]string
		cell    func(row) string
	}{
		"verified": {notVerified, func(r row) string { return r.verified }},
		"running":  {notRunning, func(r row) string { return r.runs }},
		"compared": {notCompared, func(r row) string { return r.tested }},
	} {
		for name, why := range list.reasons {
			r, ok := rows[name]
			switch {
			case !ok:
				t.Errorf("%s is on no list, and yet it is said why it is not %s", name, what)
			case list.cell(r) != why:
				t.Errorf("%s: %s: %q, and yet the reason why not is %q", name, what, list.cell(r), why)
			}
		}
	}
}

package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// TestDisasmNative checks what --native prints of a small object for both
// architectures: all bytecode once and in order, all machine code once, and the
// code of what is known to need one instruction on each.
func TestDisasmNative(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		t.Run(arch, func(t *testing.T) {
			out, complaints, code := runSkep(t, "disasm", "--native", "--json", "--arch", arch, "testdata/programs.o")
			if code != exitRefused {
				t.Errorf("exit code %d: no_check is refused, so it must be %d", code, exitRefused)
			}
			programs := map[string]*nativeProgram{}
			for dec := json.NewDecoder(strings.NewReader(out)); dec.More(); {
				p := new(nativeProgram)
				if err := dec.Decode(p); err != nil {
					t.Fatal(err)
				}
				programs[p.Program] = p
			}
			for name, why := range map[string]string{
				"no_check": "programs.c:", "forever": "programs.c:", "missing": "missing_function", "untyped": "--type",
			} {
				p := programs[name]
				if p == nil || !strings.Contains(p.Error, why) || len(p.Instructions) != 0 {
					t.Errorf("%s: got %+v, want the reason, with %q", name, p, why)
				} else if !strings.Contains(complaints, p.Error) {
					t.Errorf("%s: its reason is not among the complaints:\n%s", name, complaints)
				}
			}
			for _, name := range []string{"touch", "elsewhere"} {
				if p := programs[name]; p == nil || p.Error != "" {
					t.Errorf("%s: got %+v", name, p)
				} else {
					checkNative(t, p, arch)
				}
			}
		})
	}
}

func checkNative(t *testing.T, p *nativeProgram, arch string) {
	t.Helper()
	if p.Object != "testdata/programs.o" || p.Type != "xdp" || p.Arch != arch {
		t.Errorf("%s: object %q, type %q, architecture %q", p.Program, p.Object, p.Type, p.Arch)
	}
	covered := make([]bool, p.Size)
	if p.Entry < 0 || p.Entry >= p.Size {
		t.Fatalf("%s: entered at %d of %d bytes", p.Program, p.Entry, p.Size)
	}
	next, lines := 0, 0
	for _, in := range p.Instructions {
		if int(in.PC) != next {
			t.Fatalf("%s: pc %d, want %d", p.Program, in.PC, next)
		}
		next += len(in.Hex) / 16
		if in.File == "./programs.c" && in.Source != "" {
			lines++
		}
		for _, m := range in.Native {
			if m.Text == "" || len(m.Hex) == 0 {
				t.Errorf("%s: pc %d: no text or no bytes at %d", p.Program, in.PC, m.Offset)
			}
			for i := m.Offset; i < m.Offset+len(m.Hex)/2; i++ {
				if i >= len(covered) || covered[i] {
					t.Fatalf("%s: pc %d: byte %d is printed twice or is none of %d", p.Program, in.PC, i, p.Size)
				}
				covered[i] = true
			}
		}
	}
	if i := bytes.IndexByte(asBytes(covered), 0); i >= 0 {
		t.Errorf("%s: byte %d of %d is not printed", p.Program, i, p.Size)
	}
	if lines == 0 {
		t.Errorf("%s: no C lines", p.Program)
	}
	if p.Program != "elsewhere" {
		return
	}
	// A constant becomes one move, to R1 of the host.
	if first := p.Instructions[0]; first.Text != "w1 = 3" || !hasText(first.Native, map[string]string{
		"amd64": "mov edi, 0x3", "arm64": "mov x2, #0x3"}[arch]) {
		t.Errorf("%s: %+v", p.Program, first)
	}
}

func asBytes(set []bool) []byte {
	b := make([]byte, len(set))
	for i, x := range set {
		if x {
			b[i] = 1
		}
	}
	return b
}

func hasText(code []nativeCode, text string) bool {
	for _, m := range code {
		if m.Text == text {
			return true
		}
	}
	return false
}

// TestDisasmNativeText checks the form for people, for two files, and that a
// program may be chosen.
func TestDisasmNativeText(t *testing.T) {
	out, complaints, code := runSkep(t, "disasm", "--native", "--arch", "amd64", "--program", "elsewhere", "testdata/programs.o", "testdata/programs.o")
	if code != exitOK || complaints != "" {
		t.Fatalf("exit code %d: %s", code, complaints)
	}
	if n := strings.Count(out, "testdata/programs.o: elsewhere (xdp): "); n != 2 {
		t.Errorf("%d programs, want 2:\n%s", n, out)
	}
	inOrder := []string{"bytes for amd64, entered at 0x", "\nelsewhere:\n", "; \treturn bpf_redirect(3, 0); // ./programs.c:", "   0: (b4) w1 = 3  ", "bf03000000           mov edi, 0x3\n", ": (95) exit"}
	rest := out
	for _, part := range inOrder {
		_, after, ok := strings.Cut(rest, part)
		if !ok {
			t.Fatalf("no %q where it should be:\n%s", part, out)
		}
		rest = after
	}
	// A map that cannot be made keeps no program from it.
	if out, complaints, code := runSkep(t, "disasm", "--native", "--arch", "arm64", "../../testdata/elf/maps.o"); code != exitOK || !strings.Contains(out, ": use (socket_filter): ") {
		t.Errorf("exit code %d: %s\n%s", code, complaints, out)
	}
	for _, args := range [][]string{
		{"disasm", "--native"},
		{"disasm", "--native", "--arch", "mips", "testdata/programs.o"},
		{"disasm", "--arch", "arm64", "testdata/programs.o"},
		{"disasm", "--native", "testdata/missing.o"},
	} {
		if _, complaints, code := runSkep(t, args...); code != exitUsage || complaints == "" {
			t.Errorf("%q: exit code %d, %q", args, code, complaints)
		}
	}
}

// runSkep runs a command line.
func runSkep(t *testing.T, args ...string) (out, complaints string, code int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = execute(t.Context(), args, streams{in: strings.NewReader(""), out: &stdout, err: &stderr})
	return stdout.String(), stderr.String(), code
}

package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestScripts runs the commands in testdata/*.txt in this process and compares
// what they print. A script is a transcript:
//
//	# a comment
//	$ skep disasm a.o > $TMP/text
//	what the command prints, first to standard output, then to standard error
//	[exit 1]
//
// The last line is missing if the command succeeds. $TMP is an empty directory
// of the script's own; < and > redirect standard input and output; single
// quotes keep blanks. Times and rates are replaced by TIME, addresses by
// ADDRESS, the number of the CPU and what a proof takes by N. -update rewrites
// what is printed.
func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, name := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got := replay(t, string(want), t.TempDir())
			if *update {
				if err := os.WriteFile(name, []byte(got), 0o666); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); d != "" {
				t.Errorf("%s (-want +got):\n%s", name, d)
			}
		})
	}
}

// replay runs the commands of a script and returns the script with what they
// print now.
func replay(t *testing.T, script, tmp string) string {
	t.Helper()
	var out strings.Builder
	afterCommand := false
	for _, line := range strings.SplitAfter(script, "\n") {
		switch {
		case strings.HasPrefix(line, "$ skep"):
			out.WriteString(line)
			out.WriteString(runLine(t, strings.TrimSpace(line[len("$ skep"):]), tmp))
			afterCommand = true
		case strings.HasPrefix(line, "# "):
			if afterCommand {
				out.WriteString("\n")
			}
			out.WriteString(line)
			afterCommand = false
		case !afterCommand:
			out.WriteString(line)
		}
	}
	return out.String()
}

var volatileOutput = regexp.MustCompile(`: -, |\b\d+(\.\d+)? ?(ns|µs|ms|s|M/s|k/s|/s)\b|"ns_per_run":[\d.]+|CPU \d+|0x[0-9a-f]{9,}|\(proof: [^)]*\)|"insns":\d+,"states":\d+,"peak_bytes":\d+,"time_ns":\d+`)

// runLine runs one command line and returns what the script has to say of it.
func runLine(t *testing.T, line, tmp string) string {
	t.Helper()
	args, in, out := splitLine(t, strings.ReplaceAll(line, "$TMP", tmp))
	var stdout, stderr bytes.Buffer
	s := streams{in: strings.NewReader(""), out: &stdout, err: &stderr}
	if in != "" {
		f, err := os.Open(in)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		s.in = f
	}
	code := execute(t.Context(), args, s)
	if out != "" {
		if err := os.WriteFile(out, stdout.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
		stdout.Reset()
	}
	var b strings.Builder
	for _, part := range []*bytes.Buffer{&stdout, &stderr} {
		io.Copy(&b, part)
		if s := b.String(); s != "" && !strings.HasSuffix(s, "\n") {
			b.WriteString("\n")
		}
	}
	if code != 0 {
		fmt.Fprintf(&b, "[exit %d]\n", code)
	}
	text := strings.ReplaceAll(b.String(), tmp, "$TMP")
	return volatileOutput.ReplaceAllStringFunc(text, func(s string) string {
		switch {
		case strings.HasPrefix(s, "CPU"):
			return "CPU N"
		case strings.HasPrefix(s, "(proof"):
			return "(proof: N)"
		case strings.HasPrefix(s, `"insns"`):
			return `"insns":N,"states":N,"peak_bytes":N,"time_ns":N`
		case strings.HasPrefix(s, "0x"):
			return "ADDRESS"
		}
		return "TIME"
	})
}

// splitLine splits a command line at blanks outside single quotes, and takes
// out redirections.
func splitLine(t *testing.T, line string) (args []string, in, out string) {
	t.Helper()
	var words []string
	word, quoted, open := "", false, false
	for _, r := range line + " " {
		switch {
		case r == '\'':
			quoted, open = !quoted, true
		case r == ' ' && !quoted:
			if open {
				words = append(words, word)
			}
			word, open = "", false
		default:
			word, open = word+string(r), true
		}
	}
	for i := 0; i < len(words); i++ {
		switch {
		case words[i] == "<" && i+1 < len(words):
			i++
			in = words[i]
		case words[i] == ">" && i+1 < len(words):
			i++
			out = words[i]
		default:
			args = append(args, words[i])
		}
	}
	return args, in, out
}

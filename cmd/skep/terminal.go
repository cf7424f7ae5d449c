package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// isTerminal reports whether w is a terminal, where people look and colour
// and progress help.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// A progress shows on a terminal how far a long run has come, and nothing
// anywhere else.
type progress struct {
	w     io.Writer // nil: silent
	what  string
	start time.Time
	last  time.Time
	shown bool
}

func newProgress(w io.Writer, what string) *progress {
	p := &progress{what: what, start: time.Now()}
	p.last = p.start
	if isTerminal(w) {
		p.w = w
	}
	return p
}

// update says that done of total has been read, and count packets were run.
// It draws at most ten times a second.
func (p *progress) update(done, total, count int64) {
	if p.w == nil || count%256 != 0 {
		return
	}
	now := time.Now()
	if now.Sub(p.last) < 100*time.Millisecond {
		return
	}
	p.last, p.shown = now, true
	const width = 30
	full := width
	if total > 0 && done < total {
		full = int(done * width / total)
	}
	fmt.Fprintf(p.w, "\r%s [%s%s] %d packets, %s", p.what,
		strings.Repeat("#", full), strings.Repeat(".", width-full), count, rate(count, now.Sub(p.start)))
}

// finish removes what was drawn.
func (p *progress) finish() {
	if p.shown {
		fmt.Fprint(p.w, "\r\033[K")
	}
}

// rate returns packets per second for people.
func rate(n int64, d time.Duration) string {
	if n == 0 || d <= 0 {
		return "-"
	}
	perSecond := float64(n) / d.Seconds()
	switch {
	case perSecond >= 1e6:
		return fmt.Sprintf("%.2f M/s", perSecond/1e6)
	case perSecond >= 1e3:
		return fmt.Sprintf("%.1f k/s", perSecond/1e3)
	}
	return fmt.Sprintf("%.1f /s", perSecond)
}

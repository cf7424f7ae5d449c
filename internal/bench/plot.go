//go:build linux && amd64

package main

import (
	"fmt"
	"math"
	"strings"
)

// The plot's sizes in pixels, and the ratios at the ends of its axis, which is
// logarithmic.
const (
	plotLeft, plotWidth, plotLine = 130, 640, 18
	plotLow, plotHigh             = 0.25, 8.0
)

// A mark is how the plot shows an engine. The kernel's is a ring, drawn last, so
// that both are seen where they meet.
type mark struct {
	column int
	name   string
	style  string
}

var marks = []mark{
	{theJIT, "skep JIT", `fill="#1f6fb4" stroke="#1f6fb4" stroke-width="2"`},
	{theKernel, "Linux kernel JIT", `fill="none" stroke="#777777" stroke-width="2"`},
}

func plotX(ratio float64) float64 {
	return plotLeft + math.Log(ratio/plotLow)/math.Log(plotHigh/plotLow)*plotWidth
}

// plot returns an SVG picture: for each program what the kernel and skep take,
// as multiples of clang's time, and below, where there is no clang's, of the
// kernel's.
func (r *report) plot() string {
	var native, others []*programReport
	for i := range r.Programs {
		p := &r.Programs[i]
		if _, ok := p.Net[columnNames[clang]]; ok {
			native = append(native, p)
		} else {
			others = append(others, p)
		}
	}
	var b strings.Builder
	height := 110 + plotLine*len(native)
	if len(others) > 0 {
		height += 60 + plotLine*len(others)
	}
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="11">`+"\n", plotLeft+plotWidth+60, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/>`+"\n")
	for i, m := range marks {
		name := m.name
		if mean, n := r.mean(m.column, clang); n > 0 {
			name += fmt.Sprintf(" (geometric mean %.2f×, %d programs)", mean, n)
		}
		x := plotLeft + i*330
		fmt.Fprintf(&b, `<circle cx="%d" cy="16" r="4" %s/><text x="%d" y="20">%s</text>`+"\n", x+5, m.style, x+15, name)
	}
	y := plotGroup(&b, 46, "time per run, native code of clang -O3 = 1", native, clang)
	if len(others) > 0 {
		plotGroup(&b, y+24, "programs without native form, the kernel = 1", others, theKernel)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// plotGroup draws programs in multiples of what the column to takes, from y
// down, and returns where it ends.
func plotGroup(b *strings.Builder, y int, title string, programs []*programReport, to int) int {
	end := y + 18 + plotLine*len(programs)
	fmt.Fprintf(b, `<text x="%d" y="%d" font-size="13">%s</text>`+"\n", plotLeft, y, title)
	for _, ratio := range []float64{0.25, 0.5, 1, 2, 4, 8} {
		color := "#dddddd"
		if ratio == 1 {
			color = "#000000"
		}
		fmt.Fprintf(b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="%s"/><text x="%.1f" y="%d" text-anchor="middle">%g×</text>`+"\n",
			plotX(ratio), y+8, plotX(ratio), end, color, plotX(ratio), end+16, ratio)
	}
	for i, p := range programs {
		at := y + 20 + plotLine*i
		fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", plotLeft-8, at+4, p.Name)
		for _, m := range marks {
			if v, ok := p.ratio(m.column, to); ok {
				m.draw(b, p.Name, v, at)
			} else if p.Not[columnNames[m.column]] != "" {
				fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end" fill="#777777">%s: does not load it</text>`+"\n", plotLeft+plotWidth-8, at+4, m.name)
			}
		}
	}
	return end + 20
}

// draw draws a circle at v, or, beyond the axis, at its end with the figure.
func (m mark) draw(b *strings.Builder, name string, v float64, y int) {
	x := plotX(min(max(v, plotLow), plotHigh))
	fmt.Fprintf(b, `<circle cx="%.1f" cy="%d" r="4" %s><title>%s, %s: %.2f</title></circle>`+"\n", x, y, m.style, name, m.name, v)
	switch {
	case v > plotHigh:
		fmt.Fprintf(b, `<text x="%.1f" y="%d">%.1f×</text>`+"\n", x+8, y+4, v)
	case v < plotLow:
		fmt.Fprintf(b, `<text x="%.1f" y="%d">%.2f×</text>`+"\n", x+8, y+4, v)
	}
}

//go:build linux && amd64

package main

import (
	"fmt"
	"math"
	"strings"
)

// plot returns an SVG picture: for each program what the kernel and skep take,
// as multiples of clang's time, or of the kernel's where there is no clang's. The
// axis is logarithmic.
func (r *report) plot() string {
	const (
		left, width, line, top = 130, 640, 18, 60
		low, high              = 0.25, 8.0
	)
	x := func(ratio float64) float64 {
		t := math.Log(min(max(ratio, low), high)/low) / math.Log(high/low)
		return left + t*width
	}
	height := top + line*len(r.Programs) + 30
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="11">`+"\n", left+width+40, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/>`+"\n")
	fmt.Fprintf(&b, `<text x="%d" y="18" font-size="13">time per run, clang -O3 native = 1 (for programs without native form: the kernel = 1)</text>`+"\n", left)
	for i, key := range []struct{ color, name string }{{"#888888", "Linux kernel JIT"}, {"#1f6fb4", "skep JIT"}} {
		fmt.Fprintf(&b, `<circle cx="%d" cy="36" r="4" fill="%s"/><text x="%d" y="40">%s</text>`+"\n", left+i*140+5, key.color, left+i*140+15, key.name)
	}
	for _, ratio := range []float64{0.25, 0.5, 1, 2, 4, 8} {
		color := "#dddddd"
		if ratio == 1 {
			color = "#000000"
		}
		fmt.Fprintf(&b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="%s"/><text x="%.1f" y="%d" text-anchor="middle">%g×</text>`+"\n",
			x(ratio), top-8, x(ratio), height-24, color, x(ratio), height-8, ratio)
	}
	for i := range r.Programs {
		p := &r.Programs[i]
		y := top + line*i + 6
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", left-8, y+4, p.Name)
		to := clang
		if _, ok := p.Net[columnNames[clang]]; !ok {
			to = theKernel
		}
		for _, dot := range []struct {
			column int
			color  string
		}{{theKernel, "#888888"}, {theJIT, "#1f6fb4"}} {
			if v, ok := p.ratio(dot.column, to); ok {
				fmt.Fprintf(&b, `<circle cx="%.1f" cy="%d" r="4" fill="%s"><title>%s: %.2f</title></circle>`+"\n", x(v), y, dot.color, p.Name, v)
			}
		}
	}
	b.WriteString("</svg>\n")
	return b.String()
}

package main

import (
	"fmt"
	"html"
	"math"
	"os"
	"strings"
)

// A panel is one diagram with logarithmic axes.
type panel struct {
	b             *strings.Builder
	left, top     float64 // of the area of the data
	width, height float64
	xmin, xmax    float64 // powers of ten
	ymin, ymax    float64
	title, x, y   string
}

func (p *panel) px(x float64) float64 {
	return p.left + p.width*(math.Log10(x)-math.Log10(p.xmin))/(math.Log10(p.xmax)-math.Log10(p.xmin))
}

func (p *panel) py(y float64) float64 {
	y = min(max(y, p.ymin), p.ymax)
	return p.top + p.height - p.height*(math.Log10(y)-math.Log10(p.ymin))/(math.Log10(p.ymax)-math.Log10(p.ymin))
}

func (p *panel) text(x, y float64, anchor, class, s string) {
	fmt.Fprintf(p.b, `<text x="%.1f" y="%.1f" text-anchor="%s" class="%s">%s</text>`+"\n", x, y, anchor, class, html.EscapeString(s))
}

func (p *panel) line(x1, y1, x2, y2 float64, style string) {
	fmt.Fprintf(p.b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" %s/>`+"\n", x1, y1, x2, y2, style)
}

// axes draws the frame, a line and a label per power of ten, and the titles.
func (p *panel) axes() {
	const grid = `stroke="#dddddd" stroke-width="1"`
	for x := p.xmin; x <= p.xmax*1.01; x *= 10 {
		p.line(p.px(x), p.top, p.px(x), p.top+p.height, grid)
		p.text(p.px(x), p.top+p.height+18, "middle", "tick", count(x))
	}
	for y := p.ymin; y <= p.ymax*1.01; y *= 10 {
		p.line(p.left, p.py(y), p.left+p.width, p.py(y), grid)
		p.text(p.left-7, p.py(y)+4, "end", "tick", nanoseconds(y))
	}
	fmt.Fprintf(p.b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="none" stroke="#444444"/>`+"\n", p.left, p.top, p.width, p.height)
	p.text(p.left, p.top-12, "start", "title", p.title)
	p.text(p.left+p.width/2, p.top+p.height+40, "middle", "label", p.x)
	fmt.Fprintf(p.b, `<text transform="translate(%.1f %.1f) rotate(-90)" text-anchor="middle" class="label">%s</text>`+"\n",
		p.left-62, p.top+p.height/2, html.EscapeString(p.y))
}

func count(x float64) string {
	switch {
	case x >= 1e6:
		return fmt.Sprintf("%gM", x/1e6)
	case x >= 1e3:
		return fmt.Sprintf("%gk", x/1e3)
	}
	return fmt.Sprintf("%g", x)
}

func nanoseconds(x float64) string {
	if x >= 1e3 {
		return fmt.Sprintf("%g µs", x/1e3)
	}
	return fmt.Sprintf("%g ns", x)
}

const (
	skepColour   = "#1f5fa8"
	kernelColour = "#d9741a"
)

var familyColours = []string{"#1f5fa8", "#2a8f4f", "#b3382c", "#7a4fa3"}

func (p *panel) dot(x, y float64, colour string) {
	fmt.Fprintf(p.b, `<circle cx="%.1f" cy="%.1f" r="2.4" fill="%s" fill-opacity="0.55"/>`+"\n", p.px(x), p.py(y), colour)
}

// series draws a line through the points with y above 0.
func (p *panel) series(costs []cost, of func(cost) float64, colour, dash string) {
	var pts []string
	for _, k := range costs {
		if y := of(k); y > 0 {
			pts = append(pts, fmt.Sprintf("%.1f,%.1f", p.px(float64(k.slots)), p.py(y)))
			if dash == "" {
				fmt.Fprintf(p.b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", p.px(float64(k.slots)), p.py(y), colour)
			}
		}
	}
	fmt.Fprintf(p.b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="1.8" %s/>`+"\n", strings.Join(pts, " "), colour, dash)
}

const dashed = `stroke-dasharray="5 4"`

// draw writes the cost per instruction as SVG: of the corpus to the left, of
// generated programs to the right.
func (c *campaign) draw(name string) error {
	var b strings.Builder
	b.WriteString(`<svg xmlns="http://www.w3.org/2000/svg" width="1080" height="470" viewBox="0 0 1080 470" font-family="Helvetica, Arial, sans-serif">
<style>.title{font-size:14px;font-weight:bold}.label{font-size:13px}.tick{font-size:11px;fill:#333333}.legend{font-size:12px}</style>
<rect width="1080" height="470" fill="#ffffff"/>
`)
	p := &panel{b: &b, left: 90, top: 50, width: 410, height: 350, xmin: 1, xmax: 1e5, ymin: 10, ymax: 1e6,
		title: "Real programs (ebpf-samples)", x: "size of the program, instruction slots", y: "verification time per slot"}
	p.axes()
	n := 0
	for _, r := range c.both() {
		p.dot(float64(r.slots), float64(r.kernel.took.Nanoseconds())/float64(r.slots), kernelColour)
		n++
	}
	for _, r := range c.both() {
		p.dot(float64(r.slots), float64(r.stats.Time.Nanoseconds())/float64(r.slots), skepColour)
	}
	for i, l := range [][2]string{{skepColour, fmt.Sprintf("skep (%d programs)", n)}, {kernelColour, "Linux kernel, the same"}} {
		y := p.top + 16 + 18*float64(i)
		fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s"/>`+"\n", p.left+p.width-160, y-4, l[0])
		p.text(p.left+p.width-150, y, "start", "legend", l[1])
	}
	q := &panel{b: &b, left: 620, top: 50, width: 410, height: 350, xmin: 10, xmax: 1e6, ymin: 10, ymax: 1e6,
		title: "Generated programs", x: "size of the program, instruction slots", y: "verification time per slot"}
	q.axes()
	for i := range families {
		costs, err := c.grow(&families[i])
		if err != nil {
			return err
		}
		q.series(costs, func(k cost) float64 { return k.skep }, familyColours[i], "")
		q.series(costs, func(k cost) float64 { return k.kernel }, familyColours[i], dashed)
		y := q.top + 16 + 18*float64(i)
		q.line(q.left+12, y-4, q.left+38, y-4, fmt.Sprintf(`stroke="%s" stroke-width="2.5"`, familyColours[i]))
		q.text(q.left+44, y, "start", "legend", families[i].name)
	}
	q.line(q.left+262, q.top+12, q.left+290, q.top+12, `stroke="#444444" stroke-width="1.8"`)
	q.text(q.left+296, q.top+16, "start", "legend", "skep")
	q.line(q.left+262, q.top+30, q.left+290, q.top+30, `stroke="#444444" stroke-width="1.8" `+dashed)
	q.text(q.left+296, q.top+34, "start", "legend", "Linux, if it loads")
	b.WriteString("</svg>\n")
	return os.WriteFile(name, []byte(b.String()), 0o644)
}

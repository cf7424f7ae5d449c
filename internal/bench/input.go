//go:build linux && amd64

package main

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
)

// size is the length of packets. The kernel takes no more than a page less its
// headroom.
const size = 1408

func generator() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// random is bytes without structure.
func random() []byte {
	r, b := generator(), make([]byte, size)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// text looks like source code or logs: words, numbers, quotes, lines.
func text() []byte {
	r, b := generator(), make([]byte, 0, size+32)
	letter := func(from byte, n int) {
		for range n {
			b = append(b, from+byte(r.IntN(26)))
		}
	}
	for len(b) < size {
		switch r.IntN(8) {
		case 0:
			for range 1 + r.IntN(6) {
				b = append(b, '0'+byte(r.IntN(10)))
			}
		case 1:
			b = append(b, '"')
			letter('a', r.IntN(12))
			b = append(b, '"')
		case 2:
			letter('A', 1+r.IntN(3))
		case 3:
			b = append(b, "();,=+-_"[r.IntN(8)])
		default:
			letter('a', 1+r.IntN(9))
		}
		if r.IntN(8) == 0 {
			b = append(b, '\n')
		} else {
			b = append(b, ' ')
		}
	}
	return b[:size]
}

// names is 32-byte names of labels, each with its length before it.
func names() []byte {
	r, b := generator(), make([]byte, size)
	for k := 0; k+32 <= size; k += 32 {
		for i := k; i < k+30; {
			n := min(1+r.IntN(12), k+30-i)
			b[i] = byte(n)
			for j := 1; j <= n; j++ {
				b[i+j] = "abcdefghijklmnopqrstuvwxyzABCDEFGH-0123456789"[r.IntN(45)]
			}
			i += n + 1
		}
	}
	return b
}

// sorted is 256 sorted numbers, then 32 that may be among them.
func sorted() []byte {
	r, b := generator(), random()
	n := make([]uint32, 256)
	for i := range n {
		n[i] = r.Uint32()
	}
	slices.Sort(n)
	for i, x := range n {
		binary.LittleEndian.PutUint32(b[4*i:], x)
	}
	for i := range 32 {
		x := n[r.IntN(256)]
		if i%2 == 0 {
			x += uint32(r.IntN(1000))
		}
		binary.LittleEndian.PutUint32(b[1024+4*i:], x)
	}
	return b
}

// pairs is four pairs of 128 bytes, 512 apart: two equal, two that differ late.
func pairs() []byte {
	b := random()
	copy(b[512:1024], b[:512])
	b[512+120]++
	b[512+128+127]--
	return b
}

// frames is 16 frames, 88 bytes apart: IPv4 and IPv6 with and without tags,
// options and extension headers, in no order.
func frames() []byte {
	r, b := generator(), random()
	for k := range 16 {
		p := b[88*k : 88*k+88]
		at := 12
		for range []int{0, 0, 1, 2}[r.IntN(4)] {
			binary.BigEndian.PutUint16(p[at:], []uint16{0x8100, 0x88a8}[r.IntN(2)])
			at += 4
		}
		proto := []byte{6, 6, 17, 1, 50}[r.IntN(5)]
		switch {
		case r.IntN(12) == 0:
			binary.BigEndian.PutUint16(p[at:], 0x0806)
		case r.IntN(3) == 0:
			binary.BigEndian.PutUint16(p[at:], 0x86dd)
			at += 2
			p[at] = 0x60
			next := &p[at+6]
			at += 40
			if r.IntN(3) == 0 {
				*next = []byte{0, 43, 60}[r.IntN(3)]
				next = &p[at]
				p[at+1] = 0
			}
			*next = proto
		default:
			binary.BigEndian.PutUint16(p[at:], 0x0800)
			at += 2
			p[at] = 0x45 + byte([]int{0, 0, 1, 2}[r.IntN(4)])
			binary.BigEndian.PutUint16(p[at+6:], 0x4000)
			p[at+9] = proto
		}
	}
	return b
}

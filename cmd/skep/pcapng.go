package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// A pcapngReader passes a pcapng file on, and stops before a packet that is longer
// than maxCaptured: the capture library makes room for as many bytes as a packet's
// header claims, up to 4 GiB, before it looks whether they are there.
//
// Of the format (draft-ietf-opsawg-pcapng, sections 3.1 and 4) it knows where blocks
// begin and where those that hold a packet say how long it is.
type pcapngReader struct {
	r     *bufio.Reader
	order binary.ByteOrder // of this section
	left  uint32           // bytes of this block
}

// Blocks of a pcapng file.
const (
	pcapngSection  = 0x0a0d0d0a // the same in both byte orders
	pcapngPacket   = 2
	pcapngSimple   = 3
	pcapngEnhanced = 6
)

func (p *pcapngReader) Read(b []byte) (int, error) {
	if p.left == 0 {
		if err := p.block(); err != nil {
			return 0, err
		}
	}
	if len(b) > int(p.left) {
		b = b[:p.left]
	}
	n, err := p.r.Read(b)
	p.left -= uint32(n)
	return n, err
}

// block looks at the block that begins here. What ends in its header is for the
// library to complain of.
func (p *pcapngReader) block() error {
	head, err := p.r.Peek(24)
	if err != nil && err != io.EOF {
		return err
	}
	if len(head) < 12 {
		p.left = max(1, uint32(len(head)))
		return nil
	}
	if binary.LittleEndian.Uint32(head) == pcapngSection {
		p.order = binary.LittleEndian
		if binary.BigEndian.Uint32(head[8:]) == 0x1a2b3c4d {
			p.order = binary.BigEndian
		}
	}
	p.left = p.order.Uint32(head[4:])
	if p.left < 12 {
		return fmt.Errorf("a block of %d bytes; it has at least 12", p.left)
	}
	at := 0 // of the packet's length
	switch p.order.Uint32(head) {
	case pcapngPacket, pcapngEnhanced:
		at = 20
	case pcapngSimple:
		at = 8
	}
	if at != 0 && len(head) >= at+4 {
		if n := p.order.Uint32(head[at:]); n > maxCaptured {
			return fmt.Errorf("%d bytes; a captured packet has at most %d", n, maxCaptured)
		} else if at == 20 && n > p.left {
			return fmt.Errorf("%d bytes in a block of %d", n, p.left)
		}
	}
	return nil
}

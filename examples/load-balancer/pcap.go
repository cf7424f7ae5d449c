package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"time"
)

// A frame is a packet of a capture.
type frame struct {
	time time.Time
	data []byte
}

// The kinds of pcap files (libpcap, pcap-savefile(5)) that are read: those of
// little-endian hosts, with times in micro- or nanoseconds.
const (
	magicMicro    = 0xa1b2c3d4
	magicNano     = 0xa1b23c4d
	linkEthernet  = 1
	fileHeaderLen = 24
	headerLen     = 16
)

// readPcap returns the frames of a capture.
func readPcap(name string) ([]frame, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	if len(b) < fileHeaderLen {
		return nil, fmt.Errorf("%s: %d bytes are no pcap file", name, len(b))
	}
	unit := time.Microsecond
	switch magic := le.Uint32(b); magic {
	case magicMicro:
	case magicNano:
		unit = time.Nanosecond
	default:
		return nil, fmt.Errorf("%s: no little-endian pcap file: it begins with %#08x", name, magic)
	}
	if link := le.Uint32(b[20:]) & 0xffff; link != linkEthernet {
		return nil, fmt.Errorf("%s: link type %d is not Ethernet", name, link)
	}
	var frames []frame
	for b = b[fileHeaderLen:]; len(b) > 0; {
		if len(b) < headerLen || uint64(len(b)) < headerLen+uint64(le.Uint32(b[8:])) {
			return nil, fmt.Errorf("%s: cut off in packet %d", name, len(frames))
		}
		end := headerLen + int(le.Uint32(b[8:]))
		at := time.Unix(int64(le.Uint32(b)), int64(le.Uint32(b[4:]))*int64(unit))
		frames = append(frames, frame{at, b[headerLen:end:end]})
		b = b[end:]
	}
	return frames, nil
}

// writePcap writes a capture with times in nanoseconds.
func writePcap(w io.Writer, frames []frame) error {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, magicNano)
	b = le.AppendUint16(b, 2) // version 2.4
	b = le.AppendUint16(b, 4)
	b = append(b, make([]byte, 8)...)
	b = le.AppendUint32(b, math.MaxUint16) // no packet is longer
	b = le.AppendUint32(b, linkEthernet)
	for _, f := range frames {
		b = le.AppendUint32(b, uint32(f.time.Unix()))
		b = le.AppendUint32(b, uint32(f.time.Nanosecond()))
		b = le.AppendUint32(b, uint32(len(f.data))) // kept
		b = le.AppendUint32(b, uint32(len(f.data))) // on the wire
		b = append(b, f.data...)
	}
	_, err := w.Write(b)
	return err
}

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// maxCaptured is the longest packet a capture may hold: what libpcap allows.
const maxCaptured = 256 << 10

// A capture reads the packets of a pcap or pcapng file, whichever it is.
type capture struct {
	name  string
	file  *os.File
	size  int64
	link  func() layers.LinkType
	read  func() ([]byte, gopacket.CaptureInfo, error)
	count int64
	input *countingReader
}

// countingReader counts the bytes that pass, for progress.
type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func openCapture(name string) (*capture, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	c := &capture{name: name, file: f}
	if err := c.start(); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

func (c *capture) start() (err error) {
	defer recoverParse(&err)
	info, err := c.file.Stat()
	if err != nil {
		return err
	}
	c.size = info.Size()
	c.input = &countingReader{r: c.file}
	b := bufio.NewReaderSize(c.input, 1<<16)
	magic, err := b.Peek(4)
	if err != nil {
		return fmt.Errorf("neither pcap nor pcapng: %d bytes long", c.size)
	}
	if bytes.Equal(magic, []byte{0x0a, 0x0d, 0x0d, 0x0a}) {
		r, err := pcapgo.NewNgReader(&pcapngReader{r: b}, pcapgo.NgReaderOptions{ErrorOnMismatchingLinkType: true})
		if err != nil {
			return fmt.Errorf("pcapng: %w", err)
		}
		c.link, c.read = r.LinkType, r.ReadPacketData
		return nil
	}
	r, err := pcapgo.NewReader(b)
	if err != nil {
		return fmt.Errorf("neither pcap nor pcapng: %w", err)
	}
	r.SetSnaplen(maxCaptured)
	c.link, c.read = r.LinkType, r.ZeroCopyReadPacketData
	return nil
}

// next returns the next packet, valid until the call after; io.EOF after the
// last.
func (c *capture) next() (data []byte, info gopacket.CaptureInfo, err error) {
	defer recoverParse(&err)
	data, info, err = c.read()
	switch {
	case err == io.EOF:
		return nil, info, io.EOF
	case err != nil:
		return nil, info, fmt.Errorf("%s: packet %d: %w", c.name, c.count, err)
	case len(data) > maxCaptured:
		return nil, info, fmt.Errorf("%s: packet %d: %d bytes; a captured packet has at most %d", c.name, c.count, len(data), maxCaptured)
	}
	c.count++
	return data, info, nil
}

func (c *capture) close() { c.file.Close() }

// recoverParse turns a panic of the capture library on a damaged file (a
// length that overflows) into an error.
func recoverParse(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("damaged capture: %v", r)
	}
}

// A captureWriter writes packets to a pcap file with nanosecond time stamps.
type captureWriter struct {
	file *os.File
	buf  *bufio.Writer
	pcap *pcapgo.Writer
}

func createCapture(name string, link layers.LinkType) (*captureWriter, error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	w := &captureWriter{file: f, buf: bufio.NewWriterSize(f, 1<<16)}
	w.pcap = pcapgo.NewWriterNanos(w.buf)
	if err := w.pcap.WriteFileHeader(maxCaptured, link); err != nil {
		f.Close()
		return nil, err
	}
	return w, nil
}

// write adds data, captured at the time that info gives.
func (w *captureWriter) write(info gopacket.CaptureInfo, data []byte) error {
	info.Length = max(info.Length-info.CaptureLength+len(data), len(data))
	info.CaptureLength = len(data)
	return w.pcap.WritePacket(info, data)
}

func (w *captureWriter) close() error {
	return errors.Join(w.buf.Flush(), w.file.Close())
}

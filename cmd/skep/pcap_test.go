package main

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

func readCapture(name string) (packets [][]byte, infos []gopacket.CaptureInfo, err error) {
	c, err := openCapture(name)
	if err != nil {
		return nil, nil, err
	}
	defer c.close()
	for {
		data, info, err := c.next()
		if err == io.EOF {
			return packets, infos, nil
		}
		if err != nil {
			return packets, infos, err
		}
		packets, infos = append(packets, bytes.Clone(data)), append(infos, info)
	}
}

func TestCaptureRoundTrip(t *testing.T) {
	name := filepath.Join(t.TempDir(), "out.pcap")
	w, err := createCapture(name, layers.LinkTypeRaw)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1, 999).UTC()
	// The second packet was cut off by its capture, then grew by 2 bytes.
	infos := []gopacket.CaptureInfo{
		{Timestamp: at, CaptureLength: 3, Length: 3},
		{Timestamp: at, CaptureLength: 1, Length: 1500},
	}
	packets := [][]byte{{1, 2, 3}, {4, 5, 6}}
	for i, p := range packets {
		if err := w.write(infos[i], p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
	got, back, err := readCapture(name)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || !bytes.Equal(got[0], packets[0]) || !bytes.Equal(got[1], packets[1]) {
		t.Errorf("got %x, want %x", got, packets)
	}
	if back[0].Length != 3 || back[1].Length != 1502 || !back[1].Timestamp.Equal(at) {
		t.Errorf("got %+v", back)
	}
}

func TestCapturePcapng(t *testing.T) {
	name := filepath.Join(t.TempDir(), "in.pcapng")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	w, err := pcapgo.NewNgWriter(f, layers.LinkTypeEthernet)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WritePacket(gopacket.CaptureInfo{CaptureLength: 5, Length: 5}, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	got, _, err := readCapture(name)
	if err != nil || len(got) != 1 || string(got[0]) != "hello" {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestCaptureDamaged checks that a damaged file gives an error that names it,
// whatever the damage.
func TestCaptureDamaged(t *testing.T) {
	good, err := os.ReadFile(trafficFile)
	if err != nil {
		t.Fatal(err)
	}
	huge := bytes.Clone(good[:40])
	binary.LittleEndian.PutUint32(huge[32:], 0xffffffff) // captured length
	binary.LittleEndian.PutUint32(huge[36:], 0xffffffff)
	unlimited := bytes.Clone(huge)
	binary.LittleEndian.PutUint32(unlimited[16:], 0xffffffff) // snap length

	var ng bytes.Buffer
	w, err := pcapgo.NewNgWriter(&ng, layers.LinkTypeEthernet)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WritePacket(gopacket.CaptureInfo{CaptureLength: 4, Length: 4}, []byte("data")); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	hugeNg := bytes.Clone(ng.Bytes())
	at := bytes.Index(hugeNg, []byte("data"))
	binary.LittleEndian.PutUint32(hugeNg[at-8:], 0xfffffff0)
	longNg := bytes.Clone(ng.Bytes())
	binary.LittleEndian.PutUint32(longNg[at-8:], 300)
	shortBlock := bytes.Clone(ng.Bytes())
	binary.LittleEndian.PutUint32(shortBlock[at-24:], 0)

	for _, tc := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "neither pcap nor pcapng"},
		{"short", good[:3], "neither pcap nor pcapng"},
		{"text", []byte("not a capture, but long enough to be one"), "neither pcap nor pcapng"},
		{"cut in the file header", good[:20], "neither pcap nor pcapng"},
		{"cut in a packet header", good[:30], "packet 0: "},
		{"cut in a packet", good[:len(good)-1], "packet 107: "},
		{"captured length", huge, "packet 0: capture length exceeds snap length"},
		{"captured and snap length", unlimited, "packet 0: capture length exceeds snap length"},
		{"pcapng cut", ng.Bytes()[:30], "pcapng: "},
		{"pcapng captured length", hugeNg, "packet 0: 4294967280 bytes; a captured packet has at most 262144"},
		{"pcapng captured length beyond its block", longNg, "packet 0: 300 bytes in a block of 36"},
		{"pcapng block without a length", shortBlock, "packet 0: a block of 0 bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "x.pcap")
			if err := os.WriteFile(name, tc.file, 0o666); err != nil {
				t.Fatal(err)
			}
			_, _, err := readCapture(name)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), name) {
				t.Errorf("got %v, want %q and the file's name", err, tc.want)
			}
		})
	}
}

package main

import (
	"encoding/binary"
	"fmt"
	"os"
)

// readPcap returns the packets of a little-endian pcap file (libpcap,
// pcap-savefile(5)): 24 bytes of file header, then before each packet 16 bytes,
// of which the third word is its length.
func readPcap(name string) ([][]byte, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	if len(b) < 24 || binary.LittleEndian.Uint32(b) != 0xa1b2c3d4 && binary.LittleEndian.Uint32(b) != 0xa1b23c4d {
		return nil, fmt.Errorf("%s: no pcap file", name)
	}
	var packets [][]byte
	for b = b[24:]; len(b) > 0; {
		if len(b) < 16 || uint64(len(b)) < 16+uint64(binary.LittleEndian.Uint32(b[8:])) {
			return nil, fmt.Errorf("%s: cut off in packet %d", name, len(packets))
		}
		end := 16 + int(binary.LittleEndian.Uint32(b[8:]))
		packets = append(packets, b[16:end:end])
		b = b[end:]
	}
	return packets, nil
}

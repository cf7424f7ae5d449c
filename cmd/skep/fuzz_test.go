package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// damage returns data after edits, of six bytes each: what to do, where (three
// bytes, little endian), and with which value.
func damage(data, edits []byte) []byte {
	data = bytes.Clone(data)
	for ; len(edits) >= 6 && len(data) > 8; edits = edits[6:] {
		at := int(binary.LittleEndian.Uint32(edits) >> 8 % uint32(len(data)))
		value := binary.LittleEndian.Uint16(edits[4:])
		switch edits[0] % 6 {
		case 0:
			data[at] = byte(value)
		case 1:
			data[at] += byte(value)
		case 2: // a field of any size, all bits set
			for i := range min(1<<(value%4), len(data)-at) {
				data[at+i] = 0xff
			}
		case 3: // an instruction or a table's entry, from elsewhere
			from := int(value) * 8 % len(data)
			copy(data[at&^7:min(at&^7+8, len(data))], data[from&^7:])
		case 4:
			data = data[:at]
		case 5:
			for i := range min(int(value), len(data)-at) {
				data[at+i] = 0
			}
		}
	}
	return data
}

// damagedObjects are the objects that FuzzCommands damages.
var damagedObjects = []string{
	"testdata/programs.o",
	"testdata/profile.o",
	"../../examples/xdp-firewall/filter.o",
	"../../examples/load-balancer/balancer.o",
	"../../examples/unit-test/limit_bpfel.o",
	"../../testdata/verifier/explain/packet.o",
}

// FuzzCommands gives damaged objects to every command that takes one. Each
// answers when it is done or interrupted, with an exit code that its help names;
// with one that is not 0 it says why; and what --json prints is JSON.
func FuzzCommands(f *testing.F) {
	var objects [][]byte
	for _, name := range damagedObjects {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		objects = append(objects, data)
		for op := range byte(6) {
			f.Add(byte(len(objects)-1), []byte{op, 64, byte(len(data) >> 9), 0, 3, 0, op, 17, 0, 0, 1, 0})
		}
		f.Add(byte(len(objects)-1), []byte{})
	}
	f.Fuzz(func(t *testing.T, object byte, edits []byte) {
		name := filepath.Join(t.TempDir(), "damaged.o")
		data := damage(objects[int(object)%len(objects)], edits)
		if err := os.WriteFile(name, data, 0o666); err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{
			"inspect --json", "disasm", "disasm --json", "disasm --native --arch arm64", "verify --json", "verify --dump=invariants",
			"run --json --engine auto", "run --json --engine checked --packet 0102030405060708090a0b0c0d0e0f10",
		} {
			ctx, stop := context.WithTimeout(t.Context(), 500*time.Millisecond)
			began := time.Now()
			var out, complaints bytes.Buffer
			code := execute(ctx, append(strings.Fields(line), name), streams{in: strings.NewReader(""), out: &out, err: &complaints})
			stop()
			if d := time.Since(began); d > 20*time.Second {
				t.Errorf("skep %s took %v", line, d)
			}
			if code < exitOK || code > exitUsage || code != exitOK && out.Len()+complaints.Len() == 0 {
				t.Errorf("skep %s: exit code %d, and says %q", line, code, complaints.String())
			}
			if !strings.Contains(line, "--json") {
				continue
			}
			for _, l := range bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n")) {
				if len(l) > 0 && !json.Valid(l) {
					t.Errorf("skep %s prints %q", line, l)
				}
			}
		}
	})
}

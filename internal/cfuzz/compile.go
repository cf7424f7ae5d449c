package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const clang = "clang-19"

// language is how all compilers take the units: with one meaning for what C
// leaves open.
var language = []string{"-w", "-fwrapv", "-fno-strict-aliasing", "-fno-builtin"}

// A target is how a unit is compiled.
type target struct {
	level string // -O1
	cpu   int    // 1 is v1
}

func (t target) String() string { return fmt.Sprintf("%s -mcpu=v%d", t.level, t.cpu) }

var targets = func() (all []target) {
	for _, level := range []string{"-O1", "-O2", "-O3"} {
		for cpu := 1; cpu <= 4; cpu++ {
			all = append(all, target{level, cpu})
		}
	}
	return all
}()

// compile returns the object that clang makes of source.
func compile(dir, source string, t target) ([]byte, error) {
	out := filepath.Join(dir, "unit.o")
	args := append([]string{t.level, "-g", "-target", "bpfel", "-mcpu=v" + strconv.Itoa(t.cpu), "-DBPFV=" + strconv.Itoa(t.cpu),
		"-mllvm", "-bpf-stack-size=4096", "-c", "-x", "c", "-", "-o", out}, language...)
	cmd := exec.Command(clang, args...)
	cmd.Stdin = strings.NewReader(source)
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%v: %w\n%.2000s", t, err, text)
	}
	return os.ReadFile(out)
}

// expect compiles source for the host, with the flags level, and returns what each program leaves of
// each packet.
func expect(dir, source, level string, packets [][]byte, show bool) (map[string][]run, error) {
	exe, in := filepath.Join(dir, "unit"), filepath.Join(dir, "packets")
	cmd := exec.Command(clang, slices.Concat(strings.Fields(level), []string{"-x", "c", "-", "-o", exe}, language)...)
	cmd.Stdin = strings.NewReader(source)
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%.2000s", level, err, text)
	}
	var file []byte
	for _, p := range packets {
		file = append(binary.LittleEndian.AppendUint16(file, uint16(len(p))), p...)
	}
	if err := os.WriteFile(in, file, 0o600); err != nil {
		return nil, err
	}
	cmd = exec.Command(exe, in)
	if show {
		cmd.Args = append(cmd.Args, "show")
	}
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run of %s: %w", level, err)
	}
	all := map[string][]run{}
	for line := range bytes.Lines(text) {
		f := strings.Fields(string(line))
		if len(f) < 5 {
			return nil, fmt.Errorf("unit printed %q", line)
		}
		var n [3]uint64
		for i, s := range []string{f[2], f[3], f[len(f)-1]} {
			if n[i], err = strconv.ParseUint(s, 16, 64); err != nil {
				return nil, err
			}
		}
		r := run{R0: uint32(n[0]), Packet: n[1], Mem: n[2]}
		if show {
			r.Show = " " + strings.Join(f[4:len(f)-1], " ")
		}
		all["p"+f[0]] = append(all["p"+f[0]], r)
	}
	return all, nil
}

// packets returns what the programs of a unit run on.
func packets(r *rand.Rand, n int) (all [][]byte) {
	for i := range n {
		p := make([]byte, room+r.IntN(room))
		if i == n-1 {
			p = p[:room-1] // too short
		}
		switch i % 4 {
		case 0:
			for k := range p {
				p[k] = byte(r.Uint32())
			}
		case 1: // what is at the edge
			for k := range p {
				p[k] = []byte{0, 0xff, 1, 0x7f, 0x80, 0xfe, 2, byte(r.Uint32())}[r.IntN(8)]
			}
		case 2:
			for k := 0; k+8 <= len(p); k += 8 {
				v := []uint64{0, 1, 1 << 63, 1<<63 - 1, 1 << 31, 1<<31 - 1, 1 << 32, 1<<32 - 1, ^uint64(0), r.Uint64() >> r.IntN(64)}[r.IntN(10)]
				binary.LittleEndian.PutUint64(p[k:], v)
			}
		case 3:
			for k := range p {
				p[k] = byte(r.IntN(4))
			}
		}
		all = append(all, p)
	}
	return all
}

package vm_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/skepvm/skep/maps"
)

// TestDynptrBulk compares what copies between dynptrs of all kinds, and fillings
// of them, leave with the kernel's. The dynptrs are at fp-16 and fp-32.
func TestDynptrBulk(t *testing.T) {
	ring := &maps.Spec{Name: "ring", Type: maps.RingBuf, MaxEntries: 4096}
	packet := make([]byte, 64)
	for i := range packet {
		packet[i] = byte(i * 7)
	}
	kinds := map[string]string{
		"value":  "r1 = r9\nr1 += 128\nr2 = 96\nr3 = 0\nr4 = r10\nr4 += %d\ncall 197\n",
		"part":   "r1 = r9\nr1 += 152\nr2 = 24\nr3 = 0\nr4 = r10\nr4 += %d\ncall 197\n",
		"none":   "r1 = r9\nr1 += 128\nr2 = 96\nr3 = 1\nr4 = r10\nr4 += %d\ncall 197\n",
		"ring":   "r1 = map[1]\nr2 = 40\nr3 = 0\nr4 = r10\nr4 += %d\ncall 198\n",
		"packet": "r1 = r8\nr2 = 0\nr3 = r10\nr3 += %d\ncall bpf_dynptr_from_%s\n",
	}
	begin := func(kind, typ string, at int) string {
		if kind == "packet" {
			return fmt.Sprintf(kinds[kind], at, strings.Replace(typ, "sched_cls", "skb", 1))
		}
		return fmt.Sprintf(kinds[kind], at)
	}
	end := func(kind string, at int) string {
		if kind == "ring" { // what it holds, and back with it
			return fmt.Sprintf("r1 = r9\nr1 += 88\nr2 = 40\nr3 = r10\nr3 += %d\nr4 = 0\nr5 = 0\ncall 201\nr1 = r10\nr1 += %d\nr2 = 1\ncall 200\n", at, at)
		}
		return ""
	}
	// An int is the lower half of R0; what is above, the kernel leaves open.
	const filled, copied = "call bpf_dynptr_memset\nw0 = w0\n", "call bpf_dynptr_copy\nw0 = w0\n"
	// args gives R1 and what comes behind it.
	args := func(at int, rest ...any) string {
		s := fmt.Sprintf("r1 = r10\nr1 += %d\n", at)
		for i, v := range rest {
			s += fmt.Sprintf("r%d = %v\n", i+2, v)
		}
		return s
	}
	var cs []construct
	add := func(typ, name, text string) {
		cs = append(cs, construct{name: typ + " " + name, typ: typ, maps: []*maps.Spec{ring}, packet: packet, text: "r8 = r1\n" + seedResults + text + exit0})
	}
	for _, typ := range []string{"xdp", "sched_cls"} {
		for dst := range kinds {
			text := begin(dst, typ, -16)
			for i, c := range [][3]int{{0, 8, 1}, {3, 20, 0x1fe}, {0, 24, 0}, {16, 9, 255}, {0, 0, 9}, {96, 0, 9}, {97, 0, 9}, {-1, 2, 5}, {2, -1, 5}, {0, 96, 0x41}} {
				text += args(-16, c[0], c[1], c[2]) + filled + keep(8*i)
			}
			add(typ, "filled "+dst, text+end(dst, -16))
			for src := range kinds {
				if src == "ring" && dst == "ring" {
					continue // one reservation is enough
				}
				text := begin(dst, typ, -16) + begin(src, typ, -32)
				for i, c := range [][3]int{{0, 0, 8}, {4, 1, 20}, {1, 4, 20}, {16, 0, 9}, {0, 16, 9}, {0, 0, 0}, {97, 0, 0}, {-1, 0, 2}, {0, -1, 2}, {0, 8, 56}} {
					text += args(-16, c[0], "r10\nr3 += -32", c[1], c[2]) + copied + keep(8*i)
				}
				add(typ, src+" to "+dst, text+end(dst, -16)+end(src, -32))
			}
		}
	}
	// A packet that got shorter after its dynptr was made.
	shrunk := begin("packet", "xdp", -16) + begin("value", "xdp", -32) + "r1 = r8\nr2 = -40\ncall 65\n" +
		args(-16, 20, 8, 7) + filled + keep(0) + args(-16, 0, 60, 7) + filled + keep(8) +
		args(-16, 20, "r10\nr3 += -32", 0, 8) + copied + keep(16) + args(-32, 0, "r10\nr3 += -16", 20, 8) + copied + keep(24) +
		args(-16, 0, "r10\nr3 += -16", 20, 30) + copied + keep(32)
	add("xdp", "shrunk", shrunk)
	checkConstructs(t, cs)
}

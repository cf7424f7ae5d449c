package vm_test

import (
	"errors"
	"testing"

	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/verifier"
	"github.com/skepvm/skep/vm"
)

// TestPacketOutgrown: no helper makes a packet longer than proofs count on, however
// often it is called.
func TestPacketOutgrown(t *testing.T) {
	// r0 is 1 − (length > MaxPacket), which is proven to be 1: an index otherwise.
	const rest = "r1 = *(u32 *)(r6 +76)\nr2 = *(u32 *)(r6 +80)\nr2 -= r1\nr0 = 0\nif r2 > 131072 goto out\nr0 = 1\nout:\nexit"
	for name, call := range map[string]string{
		"vlan_push":    "r1 = r6\nr2 = 0x81\nr3 = 5\ncall 18\n",
		"change_proto": "r1 = r6\nr2 = 0xdd86\nr3 = 0\ncall 31\n",
		"change_head":  "r1 = r6\nr2 = 4\nr3 = 0\ncall 43\n",
		"change_tail":  "r1 = r6\nr2 = 131076\nr3 = 0\ncall 38\n",
		"adjust_room":  "r1 = r6\nr2 = 8\nr3 = 1\nr4 = 0\ncall 50\n",
	} {
		t.Run(name, func(t *testing.T) {
			for _, e := range usable(t) {
				p := load(t, linux.SchedCls, "r6 = r1\nr7 = 8\nagain:\n"+call+"r7 += -1\nif r7 != 0 goto again\n"+rest, vm.Options{Engine: e}).Program("p")
				for _, n := range []int{60, 65_530, vm.MaxPacket - 4, vm.MaxPacket} {
					packet := make([]byte, n)
					packet[12], packet[14] = 8, 0x45
					r0, err := p.Run(packet)
					if errors.Is(err, vm.ErrPacketSize) && n > 65_530 {
						continue
					}
					if err != nil || r0 != 1 {
						t.Errorf("%s, %d bytes: %d, %v", e, n, r0, err)
					}
				}
			}
		})
	}
}

// TestPacketPromise: a promise that packets are short, which nothing holds runs to,
// is not believed.
func TestPacketPromise(t *testing.T) {
	const text = "r2 = *(u32 *)(r1 +4)\nr1 = *(u32 *)(r1 +0)\nr2 -= r1\nr1 = map[0][0]+0\nr1 += r2\nr0 = *(u8 *)(r1 +0)\nexit"
	value := &maps.Spec{Name: "one", Type: maps.Array, KeySize: 4, ValueSize: 64, MaxEntries: 1}
	_, err := vmLoad(t, linux.XDP, text, vm.Options{Rules: verifier.Options{MaxPacket: 60}}, value)
	var refused *verifier.Error
	if !errors.As(err, &refused) || refused.Code != verifier.OutOfBounds {
		t.Errorf("a packet's length as an index into 64 bytes: %v", err)
	}
}

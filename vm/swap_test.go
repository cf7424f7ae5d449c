package vm_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/skepvm/skep/vm"
)

// TestSwapAndClose replaces a hook's program again and again and closes the
// old one's collection at once: no run may notice.
func TestSwapAndClose(t *testing.T) {
	h := vm.NewHook(packetType, vm.HookOptions{})
	coll := load(t, packetType, "r0 = 1\nexit", vm.Options{})
	link, err := h.Attach(coll.Program("p"), vm.AttachOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for !stop.Load() {
				if v, err := h.Run([]byte{1}); err != nil || v != 1 {
					t.Errorf("got %d, %v", v, err)
					return
				}
			}
		}()
	}
	for range 2000 {
		next := load(t, packetType, "r0 = 1\nexit", vm.Options{})
		if err := link.Update(next.Program("p")); err != nil {
			t.Fatal(err)
		}
		coll.Close()
		coll = next
	}
	stop.Store(true)
	wg.Wait()
}

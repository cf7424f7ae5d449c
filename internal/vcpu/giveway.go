package vcpu

import "runtime"

// GiveWay lets other goroutines run where Go does not preempt the one that does: on
// wasm, which has one thread and no signals. Whoever looks now and then at whether a
// run was cancelled calls it before, or the timer that cancels never fires.
// Elsewhere it does nothing.
func GiveWay() {
	if runtime.GOARCH == "wasm" {
		runtime.Gosched()
	}
}

package rt

import (
	"sync"
	"syscall"
)

// HostFeatures returns what this machine has.
var HostFeatures = sync.OnceValue(func() (f Features) {
	// processthreadsapi.h, winnt.h.
	const (
		armV81Atomic = 34 // PF_ARM_V81_ATOMIC_INSTRUCTIONS_AVAILABLE
		armV83LRCPC  = 45 // PF_ARM_V83_LRCPC_INSTRUCTIONS_AVAILABLE
	)
	present := syscall.NewLazyDLL("kernel32.dll").NewProc("IsProcessorFeaturePresent")
	if present.Find() != nil {
		return Features{}
	}
	has := func(feature uintptr) bool {
		yes, _, _ := present.Call(feature)
		return yes != 0
	}
	return Features{LSE: has(armV81Atomic), LRCPC: has(armV83LRCPC)}
})

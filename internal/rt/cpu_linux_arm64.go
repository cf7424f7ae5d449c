package rt

import (
	"encoding/binary"
	"os"
	"sync"
)

// HostFeatures returns what this machine has, as the kernel told the process;
// nothing where that cannot be read.
var HostFeatures = sync.OnceValue(func() (f Features) {
	// getauxval(3); arch/arm64/include/uapi/asm/hwcap.h.
	const hwcapTag = 16
	auxv, err := os.ReadFile("/proc/self/auxv")
	if err != nil {
		return Features{}
	}
	for ; len(auxv) >= 16; auxv = auxv[16:] {
		if binary.LittleEndian.Uint64(auxv) == hwcapTag {
			caps := binary.LittleEndian.Uint64(auxv[8:])
			f.LSE, f.LRCPC = caps>>8&1 != 0, caps>>15&1 != 0
		}
	}
	return f
})

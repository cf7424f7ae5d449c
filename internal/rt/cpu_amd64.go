package rt

import "sync"

// HostFeatures returns what this machine has.
var HostFeatures = sync.OnceValue(func() (f Features) {
	// SDM vol. 2, CPUID; leaf 80000001H also AMD64 APM vol. 3, appendix E.
	highest, _, _, _ := cpuid(0, 0)
	if highest >= 1 {
		_, _, c, _ := cpuid(1, 0)
		f.SSE42, f.MOVBE, f.POPCNT = c>>20&1 != 0, c>>22&1 != 0, c>>23&1 != 0
	}
	if highest >= 7 {
		_, b, _, _ := cpuid(7, 0)
		f.BMI1, f.BMI2 = b>>3&1 != 0, b>>8&1 != 0
	}
	if highest, _, _, _ := cpuid(0x80000000, 0); highest >= 0x80000001 {
		_, _, c, _ := cpuid(0x80000001, 0)
		f.LZCNT = c>>5&1 != 0
	}
	return f
})

// cpuid executes CPUID.
func cpuid(leaf, subleaf uint32) (a, b, c, d uint32)

package rt

// Features are the optional instructions that code may use. The zero value is
// what every CPU of the architecture has.
type Features struct {
	// amd64
	BMI1   bool // ANDN, BEXTR, BLSI, BLSMSK, BLSR, TZCNT
	BMI2   bool // BZHI, MULX, RORX, SARX, SHLX, SHRX
	LZCNT  bool
	MOVBE  bool
	POPCNT bool
	SSE42  bool // CRC32

	// arm64
	LSE   bool // CAS, SWP, LDADD and their like
	LRCPC bool // LDAPR
}

// AllFeatures returns the features of a CPU that has everything.
func AllFeatures() Features {
	return Features{
		BMI1: true, BMI2: true, LZCNT: true, MOVBE: true, POPCNT: true, SSE42: true,
		LSE: true, LRCPC: true,
	}
}

//go:build linux || darwin

#include "textflag.h"

// func flushICache(addr, n, dline, iline uintptr)
TEXT ·flushICache(SB), NOSPLIT, $0-32
	MOVD	addr+0(FP), R0
	MOVD	n+8(FP), R1
	MOVD	dline+16(FP), R2
	MOVD	iline+24(FP), R3
	ADD	R0, R1, R1           // end

	SUB	$1, R2, R4
	BIC	R4, R0, R4
clean:
	DC	CVAU, R4
	ADD	R2, R4, R4
	CMP	R1, R4
	BLO	clean
	DSB	$11                  // ISH

	SUB	$1, R3, R4
	BIC	R4, R0, R4
invalidate:
	SYS	$0x37520, R4        // IC IVAU, R4
	ADD	R3, R4, R4
	CMP	R1, R4
	BLO	invalidate
	DSB	$11
	ISB	$15
	RET

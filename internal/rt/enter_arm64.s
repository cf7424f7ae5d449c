#include "go_asm.h"
#include "funcdata.h"
#include "textflag.h"

// Offsets of the frame's parts from RSP; LR is at 0.
#define ARG_R     8    // outgoing arguments and result of helper and yield
#define ARG_INDEX 16
#define RESULT    24
#define RESUME    32   // where the code goes on
#define FRAME     40   // its register Frame
#define KEPT      48   // the other registers, at a yield

// func leaf(c *Context, code uintptr) uint64
TEXT ·leaf(SB), NOSPLIT, $16-24
	NO_LOCAL_POINTERS
	MOVD	c+0(FP), R25
	MOVD	code+8(FP), R2
	MOVD	Context_Frame(R25), R24
	CALL	(R2)
	MOVD	R0, ret+16(FP)
	RET

// func enter(r *Run, code uintptr) Exit
TEXT ·enter(SB), NOSPLIT, $256-20
	NO_LOCAL_POINTERS
	MOVD	r+0(FP), R0
	MOVD	code+8(FP), R2
	MOVD	Run_Context(R0), R25
	MOVD	Context_Frame(R25), R24

run:
	CALL	(R2)
	TBNZ	$31, R1, leave

helper:
	// A helper. R0 is where to go on, R1 the index.
	MOVD	R0, RESUME(RSP)
	MOVD	R24, FRAME(RSP)
	MOVD	r+0(FP), R0
	MOVD	R0, ARG_R(RSP)
	MOVW	R1, ARG_INDEX(RSP)
	CALL	·helper(SB)
	MOVD	r+0(FP), R0
	MOVD	RESUME(RSP), R2
	MOVD	FRAME(RSP), R24
	MOVD	Run_Context(R0), R25
	MOVD	RESULT(RSP), R0
	MOVWU	Context_stop(R25), R3
	CBZW	R3, run

stopped:
	MOVW	$const_Stopped, R1
	MOVW	R1, ret+16(FP)
	RET

leave:
	CMNW	$2, R1 // -const_Yield
	BEQ	yield
	MOVD	r+0(FP), R2
	MOVD	Run_Context(R2), R2
	MOVD	R0, Context_R0(R2)
	MOVW	R1, ret+16(FP)
	RET

yield:
	MOVD	R0, RESUME(RSP)
	MOVD	R24, FRAME(RSP)
	MOVD	Context_Save+0(R25), R0
	MOVD	Context_Save+8(R25), R1
	STP	(R0, R1), KEPT+0(RSP)
	STP	(R2, R3), KEPT+16(RSP)
	STP	(R4, R5), KEPT+32(RSP)
	STP	(R6, R7), KEPT+48(RSP)
	STP	(R8, R9), KEPT+64(RSP)
	STP	(R10, R11), KEPT+80(RSP)
	STP	(R12, R13), KEPT+96(RSP)
	STP	(R14, R15), KEPT+112(RSP)
	STP	(R16, R17), KEPT+128(RSP)
	STP	(R19, R20), KEPT+144(RSP)
	STP	(R21, R22), KEPT+160(RSP)
	STP	(R23, R26), KEPT+176(RSP)
	MOVD	R27, KEPT+192(RSP)
	MOVD	r+0(FP), R0
	MOVD	R0, ARG_R(RSP)
	CALL	·yield(SB)
	MOVD	r+0(FP), R0
	MOVD	Run_Context(R0), R25
	MOVWU	Context_stop(R25), R1
	CBNZW	R1, stopped
	MOVD	FRAME(RSP), R24
	LDP	KEPT+0(RSP), (R0, R1)
	LDP	KEPT+16(RSP), (R2, R3)
	LDP	KEPT+32(RSP), (R4, R5)
	LDP	KEPT+48(RSP), (R6, R7)
	LDP	KEPT+64(RSP), (R8, R9)
	LDP	KEPT+80(RSP), (R10, R11)
	LDP	KEPT+96(RSP), (R12, R13)
	LDP	KEPT+112(RSP), (R14, R15)
	LDP	KEPT+128(RSP), (R16, R17)
	LDP	KEPT+144(RSP), (R19, R20)
	LDP	KEPT+160(RSP), (R21, R22)
	LDP	KEPT+176(RSP), (R23, R26)
	MOVD	KEPT+192(RSP), R27
	MOVD	RESUME(RSP), R30
	CALL	(R30)
	TBNZ	$31, R1, leave
	JMP	helper

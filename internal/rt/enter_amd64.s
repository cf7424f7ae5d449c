#include "go_asm.h"
#include "funcdata.h"
#include "textflag.h"

// Offsets of the frame's parts from SP.
#define ARG_R     0   // outgoing arguments and result of helper and yield
#define ARG_INDEX 8
#define RESULT    16
#define RESUME    24  // where the code goes on
#define FRAME     32  // its register Frame
#define KEPT      40  // the other registers, at a yield

// func leaf(c *Context, code uintptr) uint64
TEXT ·leaf(SB), NOSPLIT, $0-24
	NO_LOCAL_POINTERS
	MOVQ	c+0(FP), R14
	MOVQ	Context_Frame(R14), R13
	MOVQ	code+8(FP), CX
	CALL	CX
	MOVQ	AX, ret+16(FP)
	RET

// func enter(r *Run, code uintptr) Exit
TEXT ·enter(SB), NOSPLIT, $136-20
	NO_LOCAL_POINTERS
	MOVQ	r+0(FP), AX
	MOVQ	code+8(FP), CX
	MOVQ	Run_Context(AX), R14
	MOVQ	Context_Frame(R14), R13

run:
	CALL	CX
	TESTL	DX, DX
	JLT	leave

helper:
	// A helper. AX is where to go on, DX the index.
	MOVQ	AX, RESUME(SP)
	MOVQ	R13, FRAME(SP)
	MOVQ	r+0(FP), AX
	MOVQ	AX, ARG_R(SP)
	MOVL	DX, ARG_INDEX(SP)
	CALL	·helper(SB)
	MOVQ	r+0(FP), AX
	MOVQ	RESUME(SP), CX
	MOVQ	FRAME(SP), R13
	MOVQ	Run_Context(AX), R14
	MOVQ	RESULT(SP), AX
	CMPL	Context_stop(R14), $0
	JEQ	run

stopped:
	MOVL	$const_Stopped, ret+16(FP)
	RET

leave:
	CMPL	DX, $const_Yield
	JEQ	yield
	MOVQ	r+0(FP), CX
	MOVQ	Run_Context(CX), CX
	MOVQ	AX, Context_R0(CX)
	MOVL	DX, ret+16(FP)
	RET

yield:
	MOVQ	AX, RESUME(SP)
	MOVQ	R13, FRAME(SP)
	MOVQ	Context_Save+0(R14), AX
	MOVQ	Context_Save+8(R14), DX
	MOVQ	AX, KEPT+0(SP)
	MOVQ	DX, KEPT+8(SP)
	MOVQ	CX, KEPT+16(SP)
	MOVQ	BX, KEPT+24(SP)
	MOVQ	SI, KEPT+32(SP)
	MOVQ	DI, KEPT+40(SP)
	MOVQ	R8, KEPT+48(SP)
	MOVQ	R9, KEPT+56(SP)
	MOVQ	R10, KEPT+64(SP)
	MOVQ	R11, KEPT+72(SP)
	MOVQ	R12, KEPT+80(SP)
	MOVQ	R15, KEPT+88(SP)
	MOVQ	r+0(FP), AX
	MOVQ	AX, ARG_R(SP)
	CALL	·yield(SB)
	MOVQ	r+0(FP), AX
	MOVQ	Run_Context(AX), R14
	CMPL	Context_stop(R14), $0
	JNE	stopped
	MOVQ	FRAME(SP), R13
	MOVQ	KEPT+8(SP), DX
	MOVQ	KEPT+16(SP), CX
	MOVQ	KEPT+24(SP), BX
	MOVQ	KEPT+32(SP), SI
	MOVQ	KEPT+40(SP), DI
	MOVQ	KEPT+48(SP), R8
	MOVQ	KEPT+56(SP), R9
	MOVQ	KEPT+64(SP), R10
	MOVQ	KEPT+72(SP), R11
	MOVQ	KEPT+80(SP), R12
	MOVQ	KEPT+88(SP), R15
	MOVQ	KEPT+0(SP), AX
	CALL	RESUME(SP)
	TESTL	DX, DX
	JLT	leave
	JMP	helper

# The way from package rt's stub into C: C needs a stack, which the stub's
# caller does not have enough of. On entry R14 is the rt.Context: R0, then Arg,
# of which the first is C's argument, the second the function, the third the end
# of a stack. C keeps RBX, RBP and R14.
	.text
	.globl enter
	.p2align 4
enter:
	movq %rsp, %rbx
	movq 24(%r14), %rsp
	movq 8(%r14), %rdi
	callq *16(%r14)
	movq %rbx, %rsp
	movl $-1, %edx # rt.Done
	retq

// Package checked is the reference interpreter: small, plain, and checked at
// every access, so it runs whatever links, verified or not. It is the meaning
// that other engines and the verifier are tested against.
//
// Bind makes a Code of a program, its maps and its helpers, once; a Machine
// runs Codes, one at a time. What a program may touch is the frames of its
// stack, its context by the fields of hook.Ctx, and the regions of the
// machine's Space. Any other access, a read of a register or of a stack byte
// that was never written, and a helper call that breaks the helper's contract
// end the run with a *Fault. Nothing outside that memory is touched, whatever
// the program computes.
//
// Arithmetic is package isa's. The commonest operations are written out in the
// loop for speed; a test holds each of them against isa.
package checked

// Package rttest tests internal/rt with machine code, which only packages below
// jit can write: what the stub promises to code and to Go, how fast it is, and
// that the Go runtime can do with the stack whatever it does.
//
// It holds tests only.
package rttest

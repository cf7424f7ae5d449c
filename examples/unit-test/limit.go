// Package limit limits how many packets a second each source may send: an XDP
// program, embedded by bpf2go, for the kernel. Its test needs no kernel and no
// root: it runs the same object in its own process.
package limit

//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -cc clang-19 -strip llvm-strip-19 -target bpfel -type report limit limit.c -- -O2 -Wall -Werror -mcpu=v3 -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu

package elf

import (
	"bytes"
	_ "embed"
	"strings"
	"sync"

	ciliumbtf "github.com/cilium/ebpf/btf"
)

// Types that are the same on every kernel: what programs get from it (contexts,
// sockets), what they pass to helpers, and headers of packets. vmlinux.h declares
// them, as it does all types, so that the compiler records each access, though the
// layout cannot change: it is an interface, on the wire, or the context of a tracing
// program that skep itself has (pt_regs, sys_enter). Programs that use no
// other types of the kernel need no target BTF.

// uapiBTF holds the types named in uapi_linux_test.go, which are Linux 6.18's, and
// compares them with the running kernel's. "go test ./elf -run UAPI -update" writes it.
//
//go:embed uapi.btf
var uapiBTF []byte

var uapi = sync.OnceValues(func() (*ciliumbtf.Spec, error) {
	return ciliumbtf.LoadSpecFromReader(bytes.NewReader(uapiBTF))
})

// uapiType reports whether the type called name, in the object's own flavour
// perhaps (name___flavour), is one of them.
func uapiType(name string) bool {
	s, err := uapi()
	if err != nil {
		return false
	}
	if i := strings.Index(name, "___"); i > 0 {
		name = name[:i]
	}
	types, err := s.AnyTypesByName(name)
	return err == nil && len(types) > 0
}

// relocatedType returns the name of the type that r is about, which cilium shows in
// text alone: CORERelocation(kind, Struct:"name"…
func relocatedType(r *ciliumbtf.CORERelocation) string {
	_, after, _ := strings.Cut(r.String(), `:"`)
	name, _, _ := strings.Cut(after, `"`)
	return name
}

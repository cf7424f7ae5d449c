package oracle

import (
	"testing"
	"unsafe"
)

// TestLayouts checks offsets that bpf(2) gives fields (include/uapi/linux/bpf.h,
// union bpf_attr; the kernel's own BTF has them in bits).
func TestLayouts(t *testing.T) {
	var load progLoadAttr
	var create mapCreateAttr
	var run testRunAttr
	var batch mapBatchAttr
	var btf btfLoadAttr
	for _, tc := range []struct {
		name      string
		got, want uintptr
	}{
		{"prog_flags", unsafe.Offsetof(load.flags), 44},
		{"prog_btf_fd", unsafe.Offsetof(load.btfFD), 72},
		{"func_info", unsafe.Offsetof(load.funcInfo), 80},
		{"fd_array", unsafe.Offsetof(load.fdArray), 120},
		{"inner_map_fd", unsafe.Offsetof(create.innerFD), 20},
		{"map_extra", unsafe.Offsetof(create.extra), 64},
		{"ctx_in", unsafe.Offsetof(run.ctxIn), 48},
		{"test.flags", unsafe.Offsetof(run.flags), 64},
		{"batch.map_fd", unsafe.Offsetof(batch.fd), 36},
		{"batch.elem_flags", unsafe.Offsetof(batch.elemFlags), 40},
		{"btf_size", unsafe.Offsetof(btf.size), 16},
	} {
		if tc.got != tc.want {
			t.Errorf("%s at %d, want %d", tc.name, tc.got, tc.want)
		}
	}
}

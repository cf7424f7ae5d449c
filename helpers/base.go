package helpers

// Base returns the helpers that need no particular context, with Linux's
// numbers (include/uapi/linux/bpf.h, enum bpf_func_id): what a hook point may
// offer to every program.
func Base() *Set { return base }

var base = NewSet(map[ID]*Func{
	1:   MapLookupElem,
	2:   MapUpdateElem,
	3:   MapDeleteElem,
	164: ForEachMapElem,
}, nil)

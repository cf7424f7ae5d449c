//go:build linux && amd64

package main

// A benchmark is one of the programs.
type benchmark struct {
	object string // C file
	name   string // function
	input  func() []byte
	note   string // for the table
	ring   bool   // fills the map "ring", which must be emptied
}

// trivial is the program whose time is taken off the others'.
var trivial = benchmark{"trivial", "trivial", random, "", false}

const elsewhere = "no native form"

// benchmarks are all programs. The list was fixed before the optimiser was
// written; programs may be added, and none may go.
var benchmarks = []benchmark{
	{"parse", "parse", frames, "", false},
	{"parse_global", "parse_global", frames, "", false},
	{"dns", "dns", names, "", false},
	{"varint", "varint", random, "", false},
	{"branches", "branches", text, "", false},
	{"dispatch", "dispatch", random, "", false},
	{"ipcsum", "ipcsum", random, "", false},
	{"fnv", "fnv", random, "", false},
	{"jhash", "jhash", random, "", false},
	{"siphash", "siphash", random, "", false},
	{"xxh64", "xxh64", random, "", false},
	{"sha256", "sha256", random, "", false},
	{"chacha", "chacha", random, "", false},
	{"crc32", "crc32", random, "", false},
	{"bitcount", "bitcount", random, "", false},
	{"sieve", "sieve", random, "", false},
	{"sort", "sort", random, "", false},
	{"bsearch", "bsearch", sorted, "", false},
	{"memcmp", "memcmp", pairs, "", false},
	{"memcpy", "memcpy", random, "", false},
	{"mix", "mix", random, "", false},
	{"bswap", "bswap", random, "", false},
	{"divide", "divide", random, "", false},
	{"gcd", "gcd", random, "", false},
	{"minmax", "minmax", random, "", false},
	{"matrix", "matrix", random, "", false},
	{"ewma", "ewma", random, "", false},
	{"context", "context", random, "", false},
	{"subprog", "subprog", random, "", false},
	{"tailcall", "tailcall", random, "native: a call through a table", false},
	{"atomics", "atomics", random, "", false},
	{"bpf_loop", "loop_callback", random, "native: a for loop that calls", false},
	{"for_each", "for_each_elem", random, "native: a for loop that calls", false},
	{"map_array", "map_array", random, "native: a C array", false},
	{"map_percpu", "map_percpu", random, "native: a C array", false},
	{"map_hash4", "map_hash4", random, elsewhere, false},
	{"map_hash8", "map_hash8", random, elsewhere, false},
	{"map_tuple", "map_tuple", random, elsewhere, false},
	{"map_percpu_hash", "map_percpu_hash", random, elsewhere, false},
	{"map_update", "map_update_delete", random, elsewhere, false},
	{"ringbuf", "ringbuf", random, elsewhere, true},
}

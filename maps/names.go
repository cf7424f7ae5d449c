package maps

import (
	"fmt"
	"strconv"
	"strings"
)

var typeNames = [...]string{
	Hash: "hash", Array: "array", ProgArray: "prog_array", PerfEventArray: "perf_event_array",
	PerCPUHash: "percpu_hash", PerCPUArray: "percpu_array", StackTrace: "stack_trace",
	CgroupArray: "cgroup_array", LRUHash: "lru_hash", LRUPerCPUHash: "lru_percpu_hash",
	LPMTrie: "lpm_trie", ArrayOfMaps: "array_of_maps", HashOfMaps: "hash_of_maps",
	DevMap: "devmap", SockMap: "sockmap", CPUMap: "cpumap", XSKMap: "xskmap", SockHash: "sockhash",
	CgroupStorage: "cgroup_storage", ReuseportSockArray: "reuseport_sockarray",
	PerCPUCgroupStorage: "percpu_cgroup_storage", Queue: "queue", Stack: "stack",
	SKStorage: "sk_storage", DevMapHash: "devmap_hash", StructOps: "struct_ops",
	RingBuf: "ringbuf", InodeStorage: "inode_storage", TaskStorage: "task_storage",
	BloomFilter: "bloom_filter", UserRingBuf: "user_ringbuf", CgrpStorage: "cgrp_storage",
	Arena: "arena",
}

// String returns the name that bpftool prints, such as "percpu_hash".
func (t Type) String() string {
	if int(t) < len(typeNames) && typeNames[t] != "" {
		return typeNames[t]
	}
	return "map type " + strconv.Itoa(int(t))
}

var flagNames = [...]string{
	"no_prealloc", "no_common_lru", "numa_node", "rdonly", "wronly", "stack_build_id", "zero_seed",
	"rdonly_prog", "wronly_prog", "clone", "mmapable", "preserve_elems", "inner_map",
}

// String returns the names of the flags, as in BPF_F_*, joined by "|".
func (f Flags) String() string {
	var names []string
	for i, n := range flagNames {
		if f&(1<<i) != 0 {
			names = append(names, n)
			f &^= 1 << i
		}
	}
	if f != 0 || len(names) == 0 {
		names = append(names, fmt.Sprintf("%#x", uint32(f)))
	}
	return strings.Join(names, "|")
}

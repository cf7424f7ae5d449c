package main

import "strings"

// What is said instead of yes. TestReasons fails for a reason that is given for
// what needs none.

const (
	absent = "does not run"
	called = "a call"
	hosts  = "the host's answers"
)

// notVerified says why the verifier does not know a map type.
var notVerified = byName(map[string]string{
	"tables of kernel functions: later":  "struct_ops",
	"memory shared with the host: later": "arena",
})

// notRunning says why maps of a type cannot be made, and why kfuncs do not run.
var notRunning = byName(map[string]string{
	"needs the host's cgroups":           "cgroup_storage percpu_cgroup_storage cgrp_storage",
	"needs the host's sockets":           "sk_storage",
	"needs objects of the Linux kernel":  "inode_storage task_storage",
	"tables of kernel functions: later":  "struct_ops",
	"memory shared with the host: later": "arena",
})

// notCompared says why what runs is not compared with the kernel.
var notCompared = byName(map[string]string{
	"a clock":         "ktime_get_ns ktime_get_boot_ns ktime_get_coarse_ns ktime_get_tai_ns jiffies64",
	"random numbers":  "get_prandom_u32",
	"the host's text": "trace_printk trace_vprintk",
	"what the host tells the run": "get_func_ip get_attach_cookie override_return get_func_arg get_func_ret get_func_arg_cnt read_branch_records " +
		"get_branch_snapshot perf_prog_read_value",
	"as probe_read_kernel and probe_read_user": "probe_read probe_read_str copy_from_user",
	hosts: "get_current_pid_tgid get_current_uid_gid get_current_comm get_cgroup_classid get_socket_uid " +
		"skb_cgroup_id skb_ancestor_cgroup_id sk_cgroup_id sk_ancestor_cgroup_id skb_cgroup_classid skb_under_cgroup",
})

// byName turns lists of names into a map from them.
func byName(reasons map[string]string) map[string]string {
	by := map[string]string{}
	for why, names := range reasons {
		for _, name := range strings.Fields(names) {
			by[name] = why
		}
	}
	return by
}

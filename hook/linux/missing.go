package linux

import (
	"github.com/skepvm/skep/helpers"
)

// missing says what the helpers without a body would need, by name: for who
// reads that a program was refused, and for docs/support.md.
var missing = map[string]string{
	"copy_from_user_task":      "the host's memory",
	"lwt_push_encap":           "the host's routes",
	"lwt_seg6_store_bytes":     "the host's routes",
	"lwt_seg6_adjust_srh":      "the host's routes",
	"lwt_seg6_action":          "the host's routes",
	"sys_bpf":                  "bpf(2) of the host",
	"sys_close":                "bpf(2) of the host",
	"btf_find_by_name_kind":    "bpf(2) of the host",
	"get_local_storage":        "storage of objects",
	"sk_storage_get":           "storage of objects",
	"sk_storage_delete":        "storage of objects",
	"inode_storage_get":        "storage of objects",
	"inode_storage_delete":     "storage of objects",
	"task_storage_get":         "storage of objects",
	"task_storage_delete":      "storage of objects",
	"cgrp_storage_get":         "storage of objects",
	"cgrp_storage_delete":      "storage of objects",
	"kptr_xchg":                "storage of objects",
	"seq_printf":               "objects of the Linux kernel",
	"seq_write":                "objects of the Linux kernel",
	"seq_printf_btf":           "objects of the Linux kernel",
	"snprintf_btf":             "objects of the Linux kernel",
	"skb_output":               "objects of the Linux kernel",
	"xdp_output":               "objects of the Linux kernel",
	"tcp_send_ack":             "objects of the Linux kernel",
	"skc_to_tcp6_sock":         "objects of the Linux kernel",
	"skc_to_tcp_sock":          "objects of the Linux kernel",
	"skc_to_tcp_timewait_sock": "objects of the Linux kernel",
	"skc_to_tcp_request_sock":  "objects of the Linux kernel",
	"skc_to_udp6_sock":         "objects of the Linux kernel",
	"skc_to_unix_sock":         "objects of the Linux kernel",
	"skc_to_mptcp_sock":        "objects of the Linux kernel",
	"d_path":                   "objects of the Linux kernel",
	"per_cpu_ptr":              "objects of the Linux kernel",
	"this_cpu_ptr":             "objects of the Linux kernel",
	"get_current_task_btf":     "objects of the Linux kernel",
	"bprm_opts_set":            "objects of the Linux kernel",
	"ima_inode_hash":           "objects of the Linux kernel",
	"ima_file_hash":            "objects of the Linux kernel",
	"sock_from_file":           "objects of the Linux kernel",
	"task_pt_regs":             "objects of the Linux kernel",
	"find_vma":                 "objects of the Linux kernel",
	"xdp_get_buff_len":         "objects of the Linux kernel",
}

// needs returns what the helper called name is missing; nil: it is not told.
func needs(name string) func(*helpers.Host) string {
	if why, ok := missing[name]; ok {
		return func(*helpers.Host) string { return why }
	}
	return nil
}

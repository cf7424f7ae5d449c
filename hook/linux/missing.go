package linux

import (
	"github.com/skepvm/skep/helpers"
)

// missing says what the helpers without a body would need, by name: for who
// reads that a program was refused, and for docs/support.md.
var missing = map[string]string{
	"copy_from_user_task":  "the host's memory",
	"lwt_seg6_store_bytes": "segment routing of the host's",
	"lwt_seg6_adjust_srh":  "segment routing of the host's",
	"lwt_seg6_action":      "segment routing of the host's",
	"get_local_storage":    "storage of objects",
	"sk_storage_get":       "storage of objects",
	"sk_storage_delete":    "storage of objects",
	"inode_storage_get":    "storage of objects",
	"inode_storage_delete": "storage of objects",
	"task_storage_get":     "storage of objects",
	"task_storage_delete":  "storage of objects",
	"cgrp_storage_get":     "storage of objects",
	"cgrp_storage_delete":  "storage of objects",
	"kptr_xchg":            "storage of objects",
	"seq_printf":           "objects of the Linux kernel",
	"seq_write":            "objects of the Linux kernel",
	"seq_printf_btf":       "objects of the Linux kernel",
	"snprintf_btf":         "objects of the Linux kernel",
	"skb_output":           "objects of the Linux kernel",
	"xdp_output":           "objects of the Linux kernel",
	"tcp_send_ack":         "objects of the Linux kernel",
	"per_cpu_ptr":          "objects of the Linux kernel",
	"this_cpu_ptr":         "objects of the Linux kernel",
	"bprm_opts_set":        "objects of the Linux kernel",
	"ima_inode_hash":       "objects of the Linux kernel",
	"ima_file_hash":        "objects of the Linux kernel",
	"sock_from_file":       "objects of the Linux kernel",
	"task_pt_regs":         "objects of the Linux kernel",
	"find_vma":             "objects of the Linux kernel",
	"xdp_get_buff_len":     "objects of the Linux kernel",
}

// needs returns what the helper called name is missing; nil: it is not told.
func needs(name string) func(*helpers.Host) string {
	if why, ok := missing[name]; ok {
		return func(*helpers.Host) string { return why }
	}
	return nil
}

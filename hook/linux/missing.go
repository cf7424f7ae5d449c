package linux

import (
	"strings"

	"github.com/skepvm/skep/helpers"
)

// missing says what the helpers without a body would need, by what it is: for
// who reads that a program was refused, and for docs/support.md.
var missing = map[string]string{
	"the host's memory":               "probe_read probe_read_str probe_read_user probe_read_user_str probe_read_kernel probe_read_kernel_str probe_write_user copy_from_user copy_from_user_task",
	"the host's symbols":              "kallsyms_lookup_name",
	"the host's current task":         "get_current_task get_current_cgroup_id get_current_ancestor_cgroup_id get_ns_current_pid_tgid current_task_under_cgroup send_signal send_signal_thread get_cgroup_classid",
	"a walk of the host's stack":      "get_stackid get_stack get_task_stack",
	"the host's performance counters": "perf_event_read perf_event_read_value perf_prog_read_value read_branch_records get_branch_snapshot",
	"the traced function":             "override_return get_func_ip get_attach_cookie get_func_arg get_func_ret get_func_arg_cnt",
	"the host's sockets":              "get_socket_cookie setsockopt getsockopt bind sock_ops_cb_flags_set sk_lookup_tcp sk_lookup_udp skc_lookup_tcp sk_fullsock tcp_sock get_listener_sock sk_assign skb_cgroup_id skb_ancestor_cgroup_id sk_cgroup_id sk_ancestor_cgroup_id skb_cgroup_classid skb_under_cgroup get_netns_cookie load_hdr_opt store_hdr_opt reserve_hdr_opt tcp_check_syncookie tcp_gen_syncookie tcp_raw_gen_syncookie_ipv4 tcp_raw_gen_syncookie_ipv6 tcp_raw_check_syncookie_ipv4 tcp_raw_check_syncookie_ipv6",
	"a map of the host's sockets":     "sk_redirect_map sk_redirect_hash msg_redirect_map msg_redirect_hash sock_map_update sock_hash_update sk_select_reuseport",
	"the stream's buffers":            "skb_adjust_room",
	"the message's buffers":           "msg_apply_bytes msg_cork_bytes msg_pull_data msg_push_data msg_pop_data",
	"the host's routes":               "fib_lookup check_mtu lwt_push_encap lwt_seg6_store_bytes lwt_seg6_adjust_srh lwt_seg6_action",
	"the packet's tunnel":             "skb_get_tunnel_key skb_set_tunnel_key skb_get_tunnel_opt skb_set_tunnel_opt skb_get_xfrm_state",
	"the packet's hash and time":      "get_hash_recalc skb_set_tstamp",
	"the host's sysctls":              "sysctl_get_name sysctl_get_current_value sysctl_get_new_value sysctl_set_new_value",
	"the system call's result":        "get_retval set_retval",
	"an infrared receiver":            "rc_repeat rc_keydown rc_pointer_rel",
	"bpf(2) of the host":              "sys_bpf sys_close btf_find_by_name_kind",
	"storage of objects":              "get_local_storage sk_storage_get sk_storage_delete inode_storage_get inode_storage_delete task_storage_get task_storage_delete cgrp_storage_get cgrp_storage_delete kptr_xchg",
	"timers":                          "timer_init timer_set_callback timer_start timer_cancel",
	"dynptrs":                         "dynptr_from_mem ringbuf_reserve_dynptr ringbuf_submit_dynptr ringbuf_discard_dynptr dynptr_read dynptr_write dynptr_data",
	"user ring buffers":               "user_ringbuf_drain",
	"objects of the Linux kernel": "seq_printf seq_write seq_printf_btf snprintf_btf skb_output xdp_output tcp_send_ack skc_to_tcp6_sock skc_to_tcp_sock " +
		"skc_to_tcp_timewait_sock skc_to_tcp_request_sock skc_to_udp6_sock skc_to_unix_sock skc_to_mptcp_sock d_path per_cpu_ptr this_cpu_ptr " +
		"get_current_task_btf bprm_opts_set ima_inode_hash ima_file_hash sock_from_file task_pt_regs find_vma xdp_get_buff_len",
}

// needs returns what the helper called name is missing; nil: it is not told.
func needs(name string) func(*helpers.Host) string {
	if why, ok := missingBy[name]; ok {
		return func(*helpers.Host) string { return why }
	}
	return nil
}

// missingBy is missing, by helper.
var missingBy = func() map[string]string {
	by := map[string]string{}
	for why, names := range missing {
		for _, name := range strings.Fields(names) {
			by[name] = why
		}
	}
	return by
}()

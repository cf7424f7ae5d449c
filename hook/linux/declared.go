package linux

import "github.com/skepvm/skep/helpers"

// Declarations of the helpers that have no body here: their contracts, so that
// programs which call them can be read and verified. Facts are from
// include/uapi/linux/bpf.h and from what the kernel's verifier accepts.

// Arguments.
var (
	ctx       = helpers.Arg{Kind: helpers.ArgCtx}
	anything  = helpers.Arg{Kind: helpers.ArgAnything}
	mapPtr    = helpers.Arg{Kind: helpers.ArgMapPtr}
	key       = helpers.Arg{Kind: helpers.ArgMapKey}
	valueNull = helpers.Arg{Kind: helpers.ArgMapValue, Nullable: true}
	mem       = helpers.Arg{Kind: helpers.ArgMem}
	memNull   = helpers.Arg{Kind: helpers.ArgMem, Nullable: true}
	memInOut  = helpers.Arg{Kind: helpers.ArgMem, Write: true}
	memOut    = helpers.Arg{Kind: helpers.ArgMem, Write: true, Uninit: true}
	size      = helpers.Arg{Kind: helpers.ArgSize}
	sizeZero  = helpers.Arg{Kind: helpers.ArgSizeOrZero}
	function  = helpers.Arg{Kind: helpers.ArgFunc}
	stackNull = helpers.Arg{Kind: helpers.ArgStack, Nullable: true}
	memSome   = helpers.Arg{Kind: helpers.ArgMem, Write: true, Uninit: true, Partial: true}
	u64Out    = helpers.Arg{Kind: helpers.ArgMem, Size: 8, Aligned: true, Write: true, Uninit: true}
	u64Some   = helpers.Arg{Kind: helpers.ArgMem, Size: 8, Aligned: true, Write: true, Uninit: true, Partial: true}
	u32InOut  = helpers.Arg{Kind: helpers.ArgMem, Size: 4, Aligned: true, Write: true}
)

// object is an argument that is a host object of type name.
func object(name string) helpers.Arg { return helpers.Arg{Kind: helpers.ArgObject, Object: name} }

// fixed is memory of n bytes.
func fixed(n uint32) helpers.Arg { return helpers.Arg{Kind: helpers.ArgMem, Size: n} }

func released(a helpers.Arg) helpers.Arg { a.Release = true; return a }
func nullable(a helpers.Arg) helpers.Arg { a.Nullable = true; return a }

// Results.
var (
	integer      = helpers.Ret{}
	sizeOrError  = helpers.Ret{AtMost: 2} // arguments are memory and its size
	sizeOrError3 = helpers.Ret{AtMost: 3} // the same after a context or an object
	mapValue     = helpers.Ret{Kind: helpers.RetMapValue}
	mapValueNull = helpers.Ret{Kind: helpers.RetMapValue, Nullable: true}
)

func objectRet(name string) helpers.Ret {
	return helpers.Ret{Kind: helpers.RetObject, Object: name}
}

func objectNull(name string) helpers.Ret {
	return helpers.Ret{Kind: helpers.RetObject, Object: name, Nullable: true}
}

// Properties besides arguments and result.
type property uint8

const (
	gpl property = iota + 1
	sleeps
	packets // takes packet memory
	moves   // changes the packet
	acquires
	callsBack
	peeks // reads at any address
)

// declare returns a helper without a body.
func declare(name string, ret helpers.Ret, args []helpers.Arg, properties ...property) *helpers.Func {
	f := &helpers.Func{Name: name, Proto: helpers.Proto{Ret: ret}, Needs: needs(name)}
	copy(f.Proto.Args[:], args)
	for _, p := range properties {
		switch p {
		case gpl:
			f.Proto.GPL = true
		case sleeps:
			f.Proto.MightSleep = true
		case packets:
			f.Proto.PacketAccess = true
		case moves:
			f.Proto.ChangesPacket = true
		case acquires:
			f.Proto.AcquiresObject = true
		case callsBack:
			f.Proto.Control = helpers.Callback
		case peeks:
			f.Proto.AnyMemory = true
		}
	}
	return f
}

// calling returns f, whose callback gets body.
func calling(f *helpers.Func, body ...helpers.Arg) *helpers.Func {
	copy(f.Proto.Body[:], body)
	return f
}

type args = []helpers.Arg

// declared holds every helper of Linux 6.18 that neither helpers.Base nor a
// type's own functions have, most of them without a body.
var declared = helpers.NewSet(map[helpers.ID]*helpers.Func{
	4:   runs(declare("probe_read", integer, args{memOut, sizeZero, anything}, gpl, peeks), probeRead(mixedSpace)),
	13:  declare("clone_redirect", integer, args{ctx, anything, anything}, moves),
	17:  runs(declare("get_cgroup_classid", integer, nil), getCurrentClassID),
	20:  runs(declare("skb_get_tunnel_key", integer, args{ctx, memOut, size, anything}), skbGetTunnelKey),
	21:  runs(declare("skb_set_tunnel_key", integer, args{ctx, mem, size, anything}), skbSetTunnelKey),
	22:  asks(declare("perf_event_read", integer, args{mapPtr, anything}, gpl), needsCounters, perfEventRead),
	25:  perfEventOutput,
	27:  asks(declare("get_stackid", integer, args{ctx, mapPtr, anything}, gpl), needsStack, getStackID),
	29:  runs(declare("skb_get_tunnel_opt", integer, args{ctx, memOut, size}), skbGetTunnelOpt),
	30:  runs(declare("skb_set_tunnel_opt", integer, args{ctx, mem, size}), skbSetTunnelOpt),
	33:  runs(declare("skb_under_cgroup", integer, args{ctx, mapPtr, anything}), skbUnderCgroup),
	34:  runs(declare("get_hash_recalc", integer, args{ctx}), getHashRecalc),
	35:  asks(declare("get_current_task", integer, nil, gpl), needsTask, getCurrentTask),
	36:  asks(declare("probe_write_user", integer, args{anything, mem, size}, gpl), needsWrite, probeWriteUser),
	37:  asks(declare("current_task_under_cgroup", integer, args{mapPtr, anything}), needsCgroups, currentTaskUnderCgroup),
	45:  runs(declare("probe_read_str", sizeOrError, args{memSome, sizeZero, anything}, gpl, peeks), probeReadString(mixedSpace)),
	46:  declare("get_socket_cookie", integer, args{ctx}),
	49:  declare("setsockopt", integer, args{ctx, anything, anything, mem, size}),
	50:  declare("skb_adjust_room", integer, args{ctx, anything, anything, anything}, moves),
	52:  skRedirectMap,
	53:  addSocket("sock_map_update"),
	55:  asks(declare("perf_event_read_value", integer, args{mapPtr, anything, memOut, size}, gpl), needsCounters, perfEventReadValue),
	56:  runs(declare("perf_prog_read_value", integer, args{ctx, memOut, size}, gpl), perfProgReadValue),
	57:  declare("getsockopt", integer, args{ctx, anything, anything, memOut, size}),
	58:  runs(declare("override_return", integer, args{ctx, anything}, gpl), overrideReturn),
	59:  runs(declare("sock_ops_cb_flags_set", integer, args{ctx, anything}), setCallbacks),
	60:  msgRedirectMap,
	61:  runs(declare("msg_apply_bytes", integer, args{ctx, anything}), msgApplyBytes),
	62:  runs(declare("msg_cork_bytes", integer, args{ctx, anything}), msgCorkBytes),
	63:  runs(declare("msg_pull_data", integer, args{ctx, anything, anything, anything}, moves), msgPullData),
	64:  declare("bind", integer, args{ctx, mem, size}),
	66:  runs(declare("skb_get_xfrm_state", integer, args{ctx, anything, memOut, size, anything}), skbGetXfrmState),
	67:  asks(declare("get_stack", sizeOrError3, args{ctx, memOut, sizeZero, anything}, gpl), needsStack, getStack),
	69:  asks(declare("fib_lookup", integer, args{ctx, memInOut, size, anything}, gpl, packets), needsRoutes, fibLookup),
	70:  addSocket("sock_hash_update"),
	71:  msgRedirectHash,
	72:  skRedirectHash,
	73:  runs(declare("lwt_push_encap", integer, args{ctx, anything, mem, size}, moves), lwtPushEncap),
	74:  declare("lwt_seg6_store_bytes", integer, args{ctx, anything, mem, size}, moves),
	75:  declare("lwt_seg6_adjust_srh", integer, args{ctx, anything, anything}, moves),
	76:  declare("lwt_seg6_action", integer, args{ctx, anything, mem, size}, moves),
	77:  asks(declare("rc_repeat", integer, args{ctx}, gpl), need("Remote.Repeat", func(h *Host) bool { return h.Remote.Repeat != nil }), rcRepeat),
	78:  asks(declare("rc_keydown", integer, args{ctx, anything, anything, anything}, gpl), need("Remote.KeyDown", func(h *Host) bool { return h.Remote.KeyDown != nil }), rcKeydown),
	79:  runs(declare("skb_cgroup_id", integer, args{ctx}), socketCgroup(ofSkb, false)),
	80:  asks(declare("get_current_cgroup_id", integer, nil), needsCgroups, getCurrentCgroupID),
	81:  declare("get_local_storage", mapValue, args{mapPtr, anything}),
	82:  skSelectReuseport,
	83:  runs(declare("skb_ancestor_cgroup_id", integer, args{ctx, anything}), socketCgroup(ofSkb, true)),
	84:  asks(declare("sk_lookup_tcp", objectNull("sock"), args{ctx, mem, size, anything, anything}, packets, acquires), needsLookup, skLookup(protoTCP, false)),
	85:  asks(declare("sk_lookup_udp", objectNull("sock"), args{ctx, mem, size, anything, anything}, packets, acquires), needsLookup, skLookup(protoUDP, false)),
	86:  skRelease,
	90:  runs(declare("msg_push_data", integer, args{ctx, anything, anything, anything}, moves), msgPushData),
	91:  runs(declare("msg_pop_data", integer, args{ctx, anything, anything, anything}, moves), msgPopData),
	92:  asks(declare("rc_pointer_rel", integer, args{ctx, anything, anything}, gpl), need("Remote.Pointer", func(h *Host) bool { return h.Remote.Pointer != nil }), rcPointerRel),
	95:  runs(declare("sk_fullsock", objectNull("sock"), args{object("sock_common")}), socketAs("sock")),
	96:  runs(declare("tcp_sock", objectNull("tcp_sock"), args{object("sock_common")}), socketAs("tcp_sock")),
	98:  runs(declare("get_listener_sock", objectNull("sock"), args{object("sock_common")}), getListenerSock),
	99:  asks(declare("skc_lookup_tcp", objectNull("sock_common"), args{ctx, mem, size, anything, anything}, packets, acquires), needsLookup, skLookup(protoTCP, true)),
	100: runs(declare("tcp_check_syncookie", integer, args{object("sock_common"), mem, size, mem, size}, gpl, packets), checkCookie),
	101: runs(declare("sysctl_get_name", integer, args{ctx, memInOut, size, anything}), sysctlGetName),
	102: runs(declare("sysctl_get_current_value", integer, args{ctx, memOut, size}), sysctlGetCurrentValue),
	103: runs(declare("sysctl_get_new_value", integer, args{ctx, memOut, size}), sysctlGetNewValue),
	104: runs(declare("sysctl_set_new_value", integer, args{ctx, mem, size}), sysctlSetNewValue),
	107: declare("sk_storage_get", mapValueNull, args{mapPtr, object("sock_common"), valueNull, anything}),
	108: declare("sk_storage_delete", integer, args{mapPtr, object("sock_common")}),
	109: asks(declare("send_signal", integer, args{anything}), needsSignal, sendSignal(false)),
	110: runs(declare("tcp_gen_syncookie", integer, args{object("sock_common"), mem, size, mem, size}, gpl, packets), genCookie),
	111: declare("skb_output", integer, args{object("sk_buff"), mapPtr, anything, mem, sizeZero}, gpl),
	112: runs(declare("probe_read_user", integer, args{memOut, sizeZero, anything}, gpl), probeRead(userSpace)),
	113: runs(declare("probe_read_kernel", integer, args{memOut, sizeZero, anything}, gpl, peeks), probeRead(kernelSpace)),
	114: runs(declare("probe_read_user_str", sizeOrError, args{memSome, sizeZero, anything}, gpl), probeReadString(userSpace)),
	115: runs(declare("probe_read_kernel_str", sizeOrError, args{memSome, sizeZero, anything}, gpl, peeks), probeReadString(kernelSpace)),
	116: declare("tcp_send_ack", integer, args{object("tcp_sock"), anything}),
	117: asks(declare("send_signal_thread", integer, args{anything}), needsSignal, sendSignal(true)),
	119: runs(declare("read_branch_records", integer, args{ctx, nullable(memInOut), sizeZero, anything}, gpl), readBranchRecords),
	120: asks(declare("get_ns_current_pid_tgid", integer, args{anything, anything, memOut, size}), needsNamespace, getNsCurrentPidTgid),
	121: declare("xdp_output", integer, args{object("xdp_buff"), mapPtr, anything, mem, sizeZero}, gpl),
	122: asks(declare("get_netns_cookie", integer, args{nullable(ctx)}), needsNetns, netnsCookie(ofSkb)),
	123: asks(declare("get_current_ancestor_cgroup_id", integer, args{anything}), needsCgroups, getCurrentAncestorCgroupID),
	124: runs(declare("sk_assign", integer, args{ctx, nullable(object("sock_common")), anything}), skAssign),
	126: declare("seq_printf", integer, args{object("seq_file"), mem, size, memNull, sizeZero}, gpl),
	127: declare("seq_write", integer, args{object("seq_file"), mem, sizeZero}, gpl),
	128: runs(declare("sk_cgroup_id", integer, args{object("sock_common")}), socketCgroup(argument, false)),
	129: runs(declare("sk_ancestor_cgroup_id", integer, args{object("sock_common"), anything}), socketCgroup(argument, true)),
	136: skcToTCP6,
	137: skcToTCP,
	138: skcToTimewait,
	139: skcToRequest,
	140: skcToUDP6,
	141: asks(declare("get_task_stack", sizeOrError3, args{object("task_struct"), memOut, sizeZero, anything}), needsStack, getTaskStack),
	142: runs(declare("load_hdr_opt", integer, args{ctx, memInOut, size, anything}), loadHdrOpt),
	143: runs(declare("store_hdr_opt", integer, args{ctx, mem, size, anything}, moves), storeHdrOpt),
	144: runs(declare("reserve_hdr_opt", integer, args{ctx, anything, anything}), reserveHdrOpt),
	145: declare("inode_storage_get", mapValueNull, args{mapPtr, nullable(object("inode")), valueNull, anything}),
	146: declare("inode_storage_delete", integer, args{mapPtr, nullable(object("inode"))}),
	147: asks(declare("d_path", integer, args{anything, memInOut, sizeZero}), needsPath, dPath),
	148: runs(declare("copy_from_user", integer, args{memOut, sizeZero, anything}, sleeps), probeRead(userSpace)),
	149: declare("snprintf_btf", integer, args{memInOut, sizeZero, mem, size, anything}),
	150: declare("seq_printf_btf", integer, args{object("seq_file"), mem, sizeZero, anything}, gpl),
	151: runs(declare("skb_cgroup_classid", integer, args{ctx}), skbClassID),
	153: declare("per_cpu_ptr", objectNull("percpu"), args{object("percpu"), anything}),
	154: declare("this_cpu_ptr", objectRet("percpu"), args{object("percpu")}),
	156: declare("task_storage_get", mapValueNull, args{mapPtr, nullable(object("task_struct")), valueNull, anything}),
	157: declare("task_storage_delete", integer, args{mapPtr, nullable(object("task_struct"))}),
	158: asks(declare("get_current_task_btf", integer, nil, gpl), needsTask, getCurrentTask),
	159: declare("bprm_opts_set", integer, args{object("linux_binprm"), anything}),
	161: declare("ima_inode_hash", integer, args{object("inode"), memOut, size}, sleeps),
	162: declare("sock_from_file", objectNull("socket"), args{object("file")}),
	163: asks(declare("check_mtu", integer, args{ctx, anything, u32InOut, anything, anything}, gpl), needsMTU, checkMTU(mtuSegments)),
	166: asks(declare("sys_bpf", integer, args{anything, memInOut, size}), needsBPF, sysBPF),
	167: asks(declare("btf_find_by_name_kind", integer, args{mem, size, anything, anything}), needsFindBTF, findBTF),
	168: asks(declare("sys_close", integer, args{anything}), needsClose, sysClose),
	173: runs(declare("get_func_ip", integer, args{ctx}, gpl), getFuncIP),
	174: runs(declare("get_attach_cookie", integer, args{ctx}), getAttachCookie),
	175: declare("task_pt_regs", objectRet("pt_regs"), args{object("task_struct")}, gpl),
	176: runs(declare("get_branch_snapshot", integer, args{memSome, sizeZero}, gpl), getBranchSnapshot),
	178: skcToUnix,
	179: asks(declare("kallsyms_lookup_name", integer, args{mem, sizeZero, anything, u64Some}), needsSymbol, kallsymsLookupName),
	180: calling(declare("find_vma", integer, args{object("task_struct"), anything, function, stackNull, anything}, callsBack),
		object("task_struct"), object("vm_area_struct"), helpers.Arg{Kind: helpers.ArgStack}),
	183: runs(declare("get_func_arg", integer, args{ctx, anything, u64Out}), getFuncArg),
	184: runs(declare("get_func_ret", integer, args{ctx, u64Out}), getFuncRet),
	185: runs(declare("get_func_arg_cnt", integer, args{ctx}), getFuncArgCnt),
	186: runs(declare("get_retval", integer, nil), getRetval),
	187: runs(declare("set_retval", integer, args{anything}), setRetval),
	188: declare("xdp_get_buff_len", integer, args{object("xdp_buff")}),
	191: declare("copy_from_user_task", integer, args{memOut, sizeZero, anything, object("task_struct"), anything}, gpl, sleeps),
	192: runs(declare("skb_set_tstamp", integer, args{ctx, anything, anything}), skbSetTstamp),
	193: declare("ima_file_hash", integer, args{object("file"), memOut, size}, sleeps),
	194: declare("kptr_xchg", objectNull("kptr"), args{{Kind: helpers.ArgKptr}, released(nullable(object("kptr")))}, acquires),
	196: skcToMPTCP,
	204: runs(declare("tcp_raw_gen_syncookie_ipv4", integer, args{fixed(20), mem, sizeZero}, gpl, packets), rawGenCookie(ipv4Header)),
	205: runs(declare("tcp_raw_gen_syncookie_ipv6", integer, args{fixed(40), mem, sizeZero}, gpl, packets), rawGenCookie(ipv6Header)),
	206: runs(declare("tcp_raw_check_syncookie_ipv4", integer, args{fixed(20), fixed(20)}, gpl, packets), rawCheckCookie(ipv4Header)),
	207: runs(declare("tcp_raw_check_syncookie_ipv6", integer, args{fixed(40), fixed(20)}, gpl, packets), rawCheckCookie(ipv6Header)),
	210: declare("cgrp_storage_get", mapValueNull, args{mapPtr, nullable(object("cgroup")), valueNull, anything}),
	211: declare("cgrp_storage_delete", integer, args{mapPtr, nullable(object("cgroup"))}),
}, nil)

// Forms of helpers that only some types have.
var (
	perfEventFuncs = helpers.NewSet(map[helpers.ID]*helpers.Func{
		27: asks(declare("get_stackid", integer, args{ctx, mapPtr, anything}), needsStack, getStackID),
	}, nil)
	sockoptFuncs = helpers.NewSet(map[helpers.ID]*helpers.Func{
		49: asks(declare("setsockopt", integer, args{object("sock_common"), anything, anything, mem, size}), needsSetOption, setSockOpt(argument)),
		57: asks(declare("getsockopt", integer, args{object("sock_common"), anything, anything, memOut, size}), needsOption, getSockOpt(argument)),
	}, nil)
	getsockoptFuncs = sockoptFuncs.With(map[helpers.ID]*helpers.Func{
		186: runs(declare("get_retval", integer, nil), sockoptGetRetval),
		187: runs(declare("set_retval", integer, args{anything}), sockoptSetRetval),
	}, nil)
	reuseportFuncs = helpers.NewSet(map[helpers.ID]*helpers.Func{
		26: skbLoadBytes,
		46: runs(declare("get_socket_cookie", integer, args{object("sock_common")}), socketCookie(argument)),
		68: skbLoadBytesRelative,
	}, nil)
	tracingFuncs = helpers.NewSet(map[helpers.ID]*helpers.Func{
		46: runs(declare("get_socket_cookie", integer, args{nullable(object("sock_common"))}), socketCookie(argument)),
		49: sockoptFuncs.Helper(49),
		57: sockoptFuncs.Helper(57),
	}, nil)
)

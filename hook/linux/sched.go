package linux

import "github.com/skepvm/skep/hook"

// SchedCls is BPF_PROG_TYPE_SCHED_CLS: a traffic-control classifier (tc, tcx,
// netkit). R0 is a TC_ACT_* action.
var SchedCls = sched("sched_cls")

// SchedAct is BPF_PROG_TYPE_SCHED_ACT: a traffic-control action.
var SchedAct = sched("sched_act")

func sched(name string) *hook.Type {
	return &hook.Type{
		Name: name,
		Ctx: part(skb, append([]string{"flow_keys"}, socketFields...),
			[]string{"mark", "tc_index", "priority", "tc_classid", "cb", "tstamp", "queue_mapping"}),
		Input:        hook.InputPacket,
		Return:       hook.AnyReturn,
		Helpers:      helperSet(name, routeFuncs),
		Verdicts:     tcActions,
		PacketWrite:  true,
		LegacyPacket: true,
		Prepare:      prepareSkb,
		NewState:     newState,
	}
}

// tcActions names actions (include/uapi/linux/pkt_cls.h).
var tcActions = map[int64]string{
	-1: "TC_ACT_UNSPEC",
	0:  "TC_ACT_OK",
	1:  "TC_ACT_RECLASSIFY",
	2:  "TC_ACT_SHOT",
	3:  "TC_ACT_PIPE",
	4:  "TC_ACT_STOLEN",
	5:  "TC_ACT_QUEUED",
	6:  "TC_ACT_REPEAT",
	7:  "TC_ACT_REDIRECT",
	8:  "TC_ACT_TRAP",
}

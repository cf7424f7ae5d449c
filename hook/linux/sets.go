package linux

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/skepvm/skep/helpers"
)

// Which helpers the programs of each type may call: those that the verifier of
// Linux 6.18 lets a privileged program of that type call, by number.

// everyType lists the helpers of all types.
const everyType = "1-3 5-8 12 14-17 22 35 37 42 55 80 87-89 93-94 105-106 109 112-115 117-118 120 123 125 130-134 " +
	"141 148-149 153-154 156-158 164-165 169-172 175-177 180-182 191 194-195 197-203 208-211"

// Parts that several types share.
const (
	probes    = "4 25 27 36 45 67 173-174"                                            // kprobe, tracepoint, raw_tracepoint
	kernel    = "4 25 27 36 45-46 67 107-108 111 121 136-140 147 162 173 178 188 196" // tracing, lsm, syscall
	tunnel    = "24-26 28 33-34 39 136-140 160 178 196"                               // lwt_*
	sockAddrs = "25 46 49 57 81 84-86 99 107-108 122 136-140 160 178 196"             // cgroup_sock_addr
	schedIDs  = "9-11 13 18-21 23-26 28-34 38-41 43 46-48 50 66 68-69 79 83-86 95-100 107-108 110 122 124 135-140 " +
		"151-152 155 160 163 178 192 196 204-207"
)

// ofType lists what types have besides everyType.
var ofType = map[string]string{
	"socket_filter":            "25-26 46-47 68 122 136-140 160 178 196",
	"kprobe":                   probes + " 58",
	"sched_cls":                schedIDs,
	"sched_act":                schedIDs,
	"tracepoint":               probes,
	"xdp":                      "23 25 28 44 51 54 65 69 84-86 99-100 110 136-140 160 163 178 188-190 196 204-207",
	"perf_event":               probes + " 56 119",
	"cgroup_skb":               "25-26 46-47 68 79 81 83-86 95-99 107-108 122 128-129 136-140 160 178 196",
	"cgroup_sock":              "25 46 81 107 122 160 186-187",
	"lwt_in":                   tunnel + " 73",
	"lwt_out":                  tunnel,
	"lwt_xmit":                 tunnel + " 9-11 13 20-21 23 29-30 38 40-41 43 73 135",
	"sock_ops":                 "25 46 49 53 57 59 70 81 96 107-108 122 136-140 142-144 160 178 196",
	"sk_skb":                   "9 25-26 38-39 43 46-47 50 52 72 84-86 99 136-140 160 178 196",
	"cgroup_device":            "25 81 186-187",
	"sk_msg":                   "25 60-63 71 90-91 107-108 122 136-140 160 178 196",
	"raw_tracepoint":           probes,
	"raw_tracepoint_writable":  probes,
	"lwt_seg6local":            tunnel + " 74-76",
	"lirc_mode2":               "25 77-78 92",
	"sk_reuseport":             "26 46 68 82 160",
	"flow_dissector":           "26 136-140 160 178 196",
	"cgroup_sysctl":            "25 81 101-104 160 186-187",
	"cgroup_sockopt":           "25 81 96 107-108 122 186-187",
	"cgroup_sockopt/set":       "25 49 57 81 96 107-108 122 186-187",
	"cgroup_sock_addr/connect": sockAddrs + " 64 186-187",
	"cgroup_sock_addr/sendmsg": sockAddrs + " 186-187",
	"cgroup_sock_addr/bind":    sockAddrs + " 186-187",
	"cgroup_sock_addr":         sockAddrs, // recvmsg, getpeername, getsockname
	"tracing":                  kernel + " 174 183-185",
	"tracing/iter":             kernel + " 126-127 150",
	"lsm":                      kernel + " 145-146 159 161 174 183-185 193",
	"struct_ops":               kernel + " 116",
	"ext":                      kernel,
	"sk_lookup":                "25 86 124 136-140 160 178 196",
	"syscall":                  kernel + " 166-168 179",
	"netfilter":                "",
}

// helperSet returns the helpers of the type called name: those in own, which
// act on its context, those of every hook, and declarations of the rest. Types
// whose sets are equal share one.
func helperSet(name string, own *helpers.Set) *helpers.Set {
	extra, ok := ofType[name]
	if !ok {
		panic("BUG: no helpers for program type " + name)
	}
	k := setKey{extra, own, kfuncOf[name]}
	if sets[k] == nil {
		s := helpers.Pick(append(common[:len(common):len(common)], parseIDs(extra)...), own, known)
		if f := k.kfunc; f != nil {
			s = s.With(nil, map[string]*helpers.Func{f.Name: f})
		}
		sets[k] = s
	}
	return sets[k]
}

// sets holds what helperSet has made while the package initialises.
var sets = map[setKey]*helpers.Set{}

type setKey struct {
	extra string
	own   *helpers.Set
	kfunc *helpers.Func
}

// kfuncOf is what types may call by name besides what all may
// (bpf_kfunc_init, net/core/filter.c).
var kfuncOf = map[string]*helpers.Func{
	"socket_filter": dynptrFromSkbRdonly,
	"sched_cls":     dynptrFromSkb,
	"sched_act":     dynptrFromSkb,
	"sk_skb":        dynptrFromSkb,
	"cgroup_skb":    dynptrFromSkbRdonly,
	"lwt_in":        dynptrFromSkbRdonly,
	"lwt_out":       dynptrFromSkbRdonly,
	"lwt_xmit":      dynptrFromSkb,
	"lwt_seg6local": dynptrFromSkbRdonly,
	"xdp":           dynptrFromXDP,
}

// common holds the numbers in everyType, known every helper in the form that
// most types have.
var (
	common = parseIDs(everyType)
	known  = declared.Merge(helpers.Base())
)

// parseIDs reads numbers and ranges of them.
func parseIDs(s string) []helpers.ID {
	var ids []helpers.ID
	for _, f := range strings.Fields(s) {
		first, last, isRange := strings.Cut(f, "-")
		if !isRange {
			last = first
		}
		a, err1 := strconv.Atoi(first)
		b, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil {
			panic(fmt.Sprintf("BUG: helper numbers %q", f))
		}
		for id := a; id <= b; id++ {
			ids = append(ids, helpers.ID(id))
		}
	}
	return ids
}

// skbFuncs are the helpers on struct __sk_buff.
var skbFuncs = helpers.NewSet(map[helpers.ID]*helpers.Func{
	9:   skbStoreBytes,
	10:  l3CsumReplace,
	13:  cloneRedirect,
	11:  l4CsumReplace,
	23:  skbRedirect,
	24:  getRouteRealm,
	18:  skbVlanPush,
	19:  skbVlanPop,
	26:  skbLoadBytes,
	31:  skbChangeProto,
	32:  skbChangeType,
	38:  skbChangeTail,
	39:  skbPullData,
	40:  csumUpdate,
	41:  setHashInvalid,
	43:  skbChangeHead,
	46:  getSocketCookie,
	47:  getSocketUID,
	48:  setHash,
	68:  skbLoadBytesRelative,
	97:  skbECNSetCE,
	135: csumLevel,
	152: skbRedirectNeigh,
	155: skbRedirectPeer,
}, nil)

// routeFuncs are those of traffic control and tunnels, where a packet has a
// class.
var routeFuncs = skbFuncs.With(map[helpers.ID]*helpers.Func{17: getCgroupClassid, 50: skbAdjustRoom}, nil)

// skSkbFuncs are those on a stream's data.
var skSkbFuncs = skbFuncs.With(map[helpers.ID]*helpers.Func{50: streamAdjustRoom}, nil)

// xdpFuncs are the helpers on struct xdp_md.
var xdpFuncs = helpers.NewSet(map[helpers.ID]*helpers.Func{
	23:  xdpRedirectTo,
	44:  xdpAdjustHead,
	51:  xdpRedirectMap,
	54:  xdpAdjustMeta,
	65:  xdpAdjustTail,
	163: xdpCheckMTU,
	188: xdpGetBuffLen,
	189: xdpLoadBytes,
	190: xdpStoreBytes,
}, nil)

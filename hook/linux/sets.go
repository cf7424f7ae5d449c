package linux

import "github.com/skepvm/skep/helpers"

// The helpers of each type that has packets.
var (
	socketFilterHelpers = helpers.Base().With(map[helpers.ID]*helpers.Func{
		26: skbLoadBytes,
		46: getSocketCookie,
		47: getSocketUID,
		68: skbLoadBytesRelative,
	}, nil)

	schedHelpers = socketFilterHelpers.With(map[helpers.ID]*helpers.Func{
		9:   skbStoreBytes,
		10:  l3CsumReplace,
		11:  l4CsumReplace,
		17:  getCgroupClassid,
		23:  skbRedirect,
		24:  getRouteRealm,
		32:  skbChangeType,
		38:  skbChangeTail,
		39:  skbPullData,
		40:  csumUpdate,
		41:  setHashInvalid,
		43:  skbChangeHead,
		48:  setHash,
		152: skbRedirectNeigh,
		155: skbRedirectPeer,
	}, nil)

	xdpHelpers = helpers.Base().With(map[helpers.ID]*helpers.Func{
		23:  xdpRedirectTo,
		44:  xdpAdjustHead,
		51:  xdpRedirectMap,
		54:  xdpAdjustMeta,
		65:  xdpAdjustTail,
		188: xdpGetBuffLen,
		189: xdpLoadBytes,
		190: xdpStoreBytes,
	}, nil)
)

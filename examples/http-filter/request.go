package main

import (
	"encoding/binary"
	"net/http"
	"net/netip"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
)

// A Request is what filters see of an HTTP request: struct http_request in
// request.h, which go generate makes of it.
type Request struct {
	Path          hook.Bytes // decoded: data to data_end
	Method        uint32     // one of the constants below
	Status        uint32     `bpf:"rw"` // what a refused client gets; 403 unless the filter says otherwise
	ContentLength int64      // -1: unknown
	ClientHi      uint64     // the client's address as IPv6, two halves as numbers
	ClientLo      uint64
}

// HTTP methods, as filters see them.
const (
	methodOther = iota
	methodGet
	methodHead
	methodPost
	methodPut
	methodDelete
)

var methods = map[string]uint32{
	http.MethodGet: methodGet, http.MethodHead: methodHead, http.MethodPost: methodPost,
	http.MethodPut: methodPut, http.MethodDelete: methodDelete,
}

// The verdicts of a filter.
const (
	deny  = 0
	allow = 1
)

// requestHook is the program type of filters: what they get, what they may
// return, and which functions they may call. Helpers below 1000 have Linux's
// numbers, so <bpf/bpf_helpers.h> would do for them as well.
var requestHook = hook.MustDefine[Request]("http_request",
	hook.Returns(deny, allow),
	hook.Verdicts(map[int64]string{deny: "HTTP_DENY", allow: "HTTP_ALLOW"}),
	hook.Helpers(helpers.NewSet(map[helpers.ID]*helpers.Func{
		1:    helpers.MapLookupElem,
		2:    helpers.MapUpdateElem,
		3:    helpers.MapDeleteElem,
		5:    helpers.KtimeGetNs,
		6:    helpers.TracePrintk,
		1000: helpers.New2("is_internal", isInternal),
	}, nil)),
)

// isInternal is a helper of this server: whether an address is one of its own
// network's.
func isInternal(_ helpers.Env, hi, lo uint64) bool {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], hi)
	binary.BigEndian.PutUint64(b[8:], lo)
	addr := netip.AddrFrom16(b).Unmap()
	return addr.IsLoopback() || addr.IsPrivate()
}

// fill makes r describe hr.
func (r *Request) fill(hr *http.Request) {
	*r = Request{
		Path:          append(r.Path[:0], hr.URL.Path...),
		Method:        methodOther,
		Status:        http.StatusForbidden,
		ContentLength: hr.ContentLength,
	}
	if m, ok := methods[hr.Method]; ok {
		r.Method = m
	}
	if client, err := netip.ParseAddrPort(hr.RemoteAddr); err == nil {
		addr := client.Addr().As16()
		r.ClientHi = binary.BigEndian.Uint64(addr[:8])
		r.ClientLo = binary.BigEndian.Uint64(addr[8:])
	}
}

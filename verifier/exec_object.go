package verifier

import (
	"slices"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/verifier/internal/state"
)

// sockCommon are the types that pass for a sock_common (kernel,
// btf_id_sock_common_types).
var sockCommon = []string{
	"sock_common", "sock", "tcp_sock", "xdp_sock", "kernel_tcp_sock",
	"tcp6_sock", "tcp_timewait_sock", "tcp_request_sock", "udp6_sock", "unix_sock", "mptcp_sock",
}

// casts are the helpers that return another view of the socket that they are
// given: it ends when that one is released, and may be released for it (kernel,
// is_ptr_cast_function). get_listener_sock is none: it returns another socket.
var casts = []string{
	"sk_fullsock", "tcp_sock", "skc_to_tcp6_sock", "skc_to_tcp_sock", "skc_to_tcp_timewait_sock",
	"skc_to_tcp_request_sock", "skc_to_udp6_sock", "skc_to_unix_sock", "skc_to_mptcp_sock",
}

// object checks argument i of f, r, which must be a host object of the type
// that the contract names.
func (m *machine) object(f *helpers.Func, i int, r state.Reg, c *call) error {
	return m.objectLike(f, i, &f.Proto.Args[i], r, c)
}

// objectLike is object for a contract that arg says.
func (m *machine) objectLike(f *helpers.Func, i int, arg *helpers.Arg, r state.Reg, c *call) error {
	if r.Kind != state.Object {
		return m.badArgument(i, "%s wants a %s, not %v", f.Name, arg.Object, r.Kind)
	}
	o := &m.s.Objs[r.Obj]
	if o.Type != arg.Object && !(arg.Object == "sock_common" && slices.Contains(sockCommon, o.Type)) {
		return m.badArgument(i, "%s wants a %s, not a %s", f.Name, arg.Object, o.Type)
	}
	if r.V != state.Zero || r.C != 0 {
		return m.badArgument(i, "%s wants a %s, not an address inside one", f.Name, o.Type)
	}
	if arg.Release {
		if root := m.s.Root(r.Obj); !m.s.Objs[root].Ref {
			return m.badArgument(i, "%s would release a %s that the program does not own", f.Name, o.Type)
		}
		c.release = r.Obj
	}
	if slices.Contains(casts, f.Name) {
		c.parent = r.Obj
	}
	return nil
}

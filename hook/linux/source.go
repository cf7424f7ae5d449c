package linux

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
)

// Sources of the contexts that bytes alone do not make: see hook.Source and
// vm.Program.RunSource. What a program may change comes back in the Source.

// A frame is a context under construction.
type frame struct {
	t   *hook.Type
	ctx []byte
}

// enter begins the context of a run of a program of one of the types names.
func enter(t *hook.Type, r hook.Run, names ...string) (frame, error) {
	if !slices.Contains(names, t.Name) {
		return frame{}, fmt.Errorf("this is the input of programs of type %s, not %s", names[0], t.Name)
	}
	return frame{t, r.Ctx()}, nil
}

// put stores the low bytes of v in the field called name, if programs of the type
// have it.
func (f frame) put(name string, v uint64) {
	if c := f.t.Ctx.Field(name); c != nil {
		b := f.ctx[c.HostOff : c.HostOff+c.HostSize]
		switch len(b) {
		case 1:
			b[0] = byte(v)
		case 2:
			binary.NativeEndian.PutUint16(b, uint16(v))
		case 4:
			binary.NativeEndian.PutUint32(b, uint32(v))
		case 8:
			binary.NativeEndian.PutUint64(b, v)
		}
	}
}

// get returns the field called name, 0 if there is none.
func (f frame) get(name string) uint32 {
	v, _ := f.t.Ctx.Get(f.ctx, name)
	return uint32(v)
}

// bytes returns the field called name, or nil.
func (f frame) bytes(name string) []byte {
	if c := f.t.Ctx.Field(name); c != nil {
		return f.ctx[c.HostOff : c.HostOff+c.HostSize]
	}
	return nil
}

// put4 and put6 store an address in network order: in one field, or, of IPv6, in
// one of bytes or in four.
func (f frame) put4(name string, a netip.Addr) {
	if a = a.Unmap(); a.Is4() {
		ip := a.As4()
		copy(f.bytes(name), ip[:])
	}
}

func (f frame) put6(name string, a netip.Addr) {
	if !a.Is6() {
		return
	}
	ip := a.As16()
	copy(f.bytes(name), ip[:])
	for i := range 4 {
		copy(f.bytes(fmt.Sprintf("%s[%d]", name, i)), ip[4*i:])
	}
}

// familyOf returns the family of addresses that a has; 0: none.
func familyOf(a netip.Addr) uint32 {
	switch {
	case a.Is4():
		return AFInet
	case a.Is6():
		return AFInet6
	}
	return 0
}

// networkPort returns p as a __u32 whose first half is in network order.
func networkPort(p uint16) uint64 {
	var b [4]byte
	binary.BigEndian.PutUint16(b[:], p)
	return uint64(binary.NativeEndian.Uint32(b[:]))
}

// networkWord returns the number that is v in network order.
func networkWord(v uint32) uint64 {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], v)
	return uint64(binary.NativeEndian.Uint32(b[:]))
}

// point makes field sk point to s, if there is one.
func point(r hook.Run, s *Socket) error {
	if s == nil {
		return nil
	}
	return r.Point("sk", s)
}

// packet gives the run a packet without room around it.
func packet(r hook.Run, b []byte) error {
	return r.GivePacket(helpers.Packet{Buf: b[:len(b):len(b)], Tail: len(b)})
}

// A SockAddr is what a cgroup_sock_addr program judges: the address that a process
// binds a socket to, connects it or sends to. The program may change Addr, and
// Source of sendmsg.
type SockAddr struct {
	Addr           netip.AddrPort
	Source         netip.Addr
	Type, Protocol uint32 // SockStream, IPPROTO_TCP, …
	Socket         *Socket
	Retval         int32 // of the system call: see Judged
}

// Enter implements hook.Source.
func (a *SockAddr) Enter(t *hook.Type, r hook.Run) error {
	f, err := enter(t, r, "cgroup_sock_addr")
	if err != nil {
		return err
	}
	family := familyOf(a.Addr.Addr())
	if family == 0 && a.Socket != nil {
		family = a.Socket.Info().Family
	}
	f.put("user_family", uint64(family))
	f.put("family", uint64(family))
	f.put("type", uint64(a.Type))
	f.put("protocol", uint64(a.Protocol))
	f.put("user_port", networkPort(a.Addr.Port()))
	f.put4("user_ip4", a.Addr.Addr())
	f.put6("user_ip6", a.Addr.Addr())
	f.put4("msg_src_ip4", a.Source)
	f.put6("msg_src_ip6", a.Source)
	stateOf(r).Socket, stateOf(r).Retval = a.Socket, a.Retval
	return point(r, a.Socket)
}

// Leave implements hook.Source.
func (a *SockAddr) Leave(t *hook.Type, r hook.Run) {
	f := frame{t, r.Ctx()}
	ip := addrIn(f.bytes("user_ip4"), f.bytes("user_ip6"), a.Addr.Addr())
	port := a.Addr.Port()
	if b := f.bytes("user_port"); b != nil {
		port = binary.BigEndian.Uint16(b)
	}
	a.Addr = netip.AddrPortFrom(ip, port)
	a.Source = addrIn(f.bytes("msg_src_ip4"), f.bytes("msg_src_ip6"), a.Source)
	a.Retval = stateOf(r).Retval
}

// addrIn returns the address in v4 or v6, whichever was's is; otherwise was.
func addrIn(v4, v6 []byte, was netip.Addr) netip.Addr {
	switch {
	case was.Is4() && v4 != nil:
		return netip.AddrFrom4([4]byte(v4))
	case was.Is6() && v6 != nil:
		return netip.AddrFrom16([16]byte(v6))
	}
	return was
}

// A SockCreate is the socket that a cgroup_sock program judges: when it is made,
// bound or released. The program may change what its type lets it: the device
// it is bound to, mark and priority.
type SockCreate struct {
	Socket *Socket
	Retval int32 // of the system call: see Judged
}

// Enter implements hook.Source.
func (c *SockCreate) Enter(t *hook.Type, r hook.Run) error {
	f, err := enter(t, r, "cgroup_sock")
	switch {
	case err != nil:
		return err
	case c.Socket == nil:
		return fmt.Errorf("no socket")
	}
	b := c.Socket.Memory("sock")
	if b == nil {
		return fmt.Errorf("the socket is no full one")
	}
	for i := range t.Ctx.Fields {
		fd := &t.Ctx.Fields[i]
		helpers.CopyMem(f.ctx[fd.HostOff:fd.HostOff+fd.HostSize], b[fd.Off:fd.Off+fd.HostSize])
	}
	stateOf(r).Socket, stateOf(r).Retval = c.Socket, c.Retval
	return nil
}

// Leave implements hook.Source.
func (c *SockCreate) Leave(t *hook.Type, r hook.Run) {
	f := frame{t, r.Ctx()}
	info := c.Socket.Info()
	c.Retval = stateOf(r).Retval
	for name, v := range map[string]*uint32{"bound_dev_if": &info.BoundDevIf, "mark": &info.Mark, "priority": &info.Priority} {
		if t.Ctx.Field(name) != nil {
			*v = f.get(name)
		}
	}
	c.Socket.Set(info)
}

// Enter implements hook.Source: the program judges the access to s.
func (s *Sysctl) Enter(t *hook.Type, r hook.Run) error {
	f, err := enter(t, r, "cgroup_sysctl")
	if err != nil {
		return err
	}
	if s.Write {
		f.put("write", 1)
	}
	f.put("file_pos", uint64(s.Pos))
	stateOf(r).Sysctl, stateOf(r).Retval = *s, s.Retval
	return nil
}

// Leave implements hook.Source.
func (s *Sysctl) Leave(t *hook.Type, r hook.Run) {
	*s = stateOf(r).Sysctl
	s.Retval = stateOf(r).Retval
	s.Pos = frame{t, r.Ctx()}.get("file_pos")
}

// A Device is the access to a device file that a cgroup_device program judges.
type Device struct {
	Type         DeviceType
	Access       DeviceAccess
	Major, Minor uint32
	Retval       int32 // of the system call: see Judged
}

// A DeviceType is BPF_DEVCG_DEV_*.
type DeviceType uint16

// A DeviceAccess is a set of BPF_DEVCG_ACC_*.
type DeviceAccess uint16

const (
	BlockDevice DeviceType = 1
	CharDevice  DeviceType = 2

	DeviceMknod DeviceAccess = 1
	DeviceRead  DeviceAccess = 2
	DeviceWrite DeviceAccess = 4
)

// Enter implements hook.Source.
func (d *Device) Enter(t *hook.Type, r hook.Run) error {
	f, err := enter(t, r, "cgroup_device")
	if err != nil {
		return err
	}
	f.put("access_type", uint64(d.Access)<<16|uint64(d.Type))
	f.put("major", uint64(d.Major))
	f.put("minor", uint64(d.Minor))
	stateOf(r).Retval = d.Retval
	return nil
}

// Leave implements hook.Source.
func (d *Device) Leave(_ *hook.Type, r hook.Run) { d.Retval = stateOf(r).Retval }

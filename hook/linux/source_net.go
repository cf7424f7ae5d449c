package linux

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
)

// A Lookup is the packet that needs a socket, for sk_lookup programs, which may
// choose one: Assigned.
type Lookup struct {
	Protocol      uint32         // IPPROTO_TCP or IPPROTO_UDP
	Remote, Local netip.AddrPort // the packet's source and destination
	Ifindex       uint32         // where it came in
	Socket        *Socket        // chosen by a program before this one

	Assigned    *Socket // nil: none
	NoReuseport bool
}

// Enter implements hook.Source.
func (l *Lookup) Enter(t *hook.Type, r hook.Run) error {
	f, err := enter(t, r, "sk_lookup")
	if err != nil {
		return err
	}
	f.put("family", uint64(familyOf(l.Local.Addr())))
	f.put("protocol", uint64(l.Protocol))
	f.put4("remote_ip4", l.Remote.Addr())
	f.put6("remote_ip6", l.Remote.Addr())
	f.put("remote_port", networkPort(l.Remote.Port()))
	f.put4("local_ip4", l.Local.Addr())
	f.put6("local_ip6", l.Local.Addr())
	f.put("local_port", uint64(l.Local.Port()))
	f.put("ingress_ifindex", uint64(l.Ifindex))
	stateOf(r).Assigned = l.Socket
	return point(r, l.Socket)
}

// Leave implements hook.Source.
func (l *Lookup) Leave(_ *hook.Type, r hook.Run) {
	l.Assigned, l.NoReuseport = stateOf(r).Assigned, stateOf(r).NoReuseport
}

// A SockEvent is what happened to a TCP connection, for sock_ops programs.
type SockEvent struct {
	Op     uint32    // BPF_SOCK_OPS_*
	Args   [4]uint32 // what they are, the op says
	Socket *Socket   // the connection: addresses, ports, counters
	// Packet is from its TCP header on, where the op has one. The program sees the
	// header with its options; at BPF_SOCK_OPS_WRITE_HDR_OPT_CB, where Packet ends
	// with the options so far, it may append to them; at
	// BPF_SOCK_OPS_HDR_OPT_LEN_CB, before they are written, it sees the flags alone.
	Packet []byte
	Syn    []byte // the header of the connection's request, if it was kept (TCP_SAVE_SYN)
	// Room is how many bytes of options may be reserved, or written; after the run
	// what is left of it.
	Room uint32

	Reply     uint32 // what the program answers
	Callbacks uint32 // the events that it asks for (sock_ops_cb_flags_set); before the run, those it asked for
	TxHash    uint32 // sk_txhash
}

// Enter implements hook.Source.
func (e *SockEvent) Enter(t *hook.Type, r hook.Run) error {
	f, err := enter(t, r, "sock_ops")
	if err != nil {
		return err
	}
	p := e.header()
	if err := r.GivePacket(p); err != nil {
		return err
	}
	st := stateOf(r)
	st.Syn, st.HeaderRoom, st.hasHeader = e.Syn, e.Room, e.Packet != nil
	f.put("op", uint64(e.Op))
	f.put("reply", uint64(e.Args[0])) // they share a union
	for i, v := range e.Args[1:] {
		f.put(fmt.Sprintf("args[%d]", i+1), uint64(v))
	}
	f.put("bpf_sock_ops_cb_flags", uint64(e.Callbacks))
	f.put("sk_txhash", uint64(e.TxHash))
	f.put("skb_len", e.length())
	if len(e.Packet) > 13 {
		f.put("skb_tcp_flags", uint64(e.Packet[13]))
	}
	if e.Socket == nil {
		return nil
	}
	info := e.Socket.Info()
	f.endpoints(&info)
	f.put("state", uint64(info.State))
	if !info.Mini {
		f.put("is_fullsock", 1)
	}
	if info.TCP != nil {
		f.counters(info.TCP)
	}
	stateOf(r).Socket = e.Socket
	if info.Mini {
		return nil // the context's sk is a full one or null
	}
	return point(r, e.Socket)
}

// header returns what the program sees of the packet.
func (e *SockEvent) header() (p helpers.Packet) {
	b := e.Packet
	switch {
	case e.Op == opHdrOptLen:
		return p
	case e.Op == opWriteHdrOpt:
		p = helpers.Packet{Buf: make([]byte, len(b)+int(min(e.Room, tcpLongest))), Tail: len(b)}
		copy(p.Buf, b)
		return p
	case len(b) >= tcpHeader:
		p.Tail = min(int(b[12]>>4)*4, len(b))
	}
	p.Buf = b[:len(b):len(b)]
	return p
}

// length is skb_len: of what there is of the packet, or of its header, by then.
func (e *SockEvent) length() uint64 {
	switch n := len(e.Packet); {
	case e.Op == opWriteHdrOpt:
		return uint64(n) + uint64(e.Room)
	case e.Op == opHdrOptLen && n >= tcpHeader:
		return uint64(n - min(int(e.Packet[12]>>4)*4, n))
	case e.Op == opHdrOptLen:
		return 0
	default:
		return uint64(n)
	}
}

// endpoints stores a socket's addresses and ports: the local port in the host's
// order, the remote one as a word in the network's. Of a connection over IPv4 the
// IPv6 addresses are those that map it, as in the kernel.
func (f frame) endpoints(i *SocketInfo) {
	if local, remote := i.Local.Addr(), i.Remote.Addr(); remote.Is4() && !remote.IsUnspecified() {
		f.put6("remote_ip6", netip.AddrFrom16(remote.As16()))
		if local.Is4() {
			f.put6("local_ip6", netip.AddrFrom16(local.As16()))
		}
	}
	f.put("family", uint64(i.Family))
	f.put4("remote_ip4", i.Remote.Addr())
	f.put6("remote_ip6", i.Remote.Addr())
	f.put("remote_port", networkWord(uint32(i.Remote.Port())))
	f.put4("local_ip4", i.Local.Addr())
	f.put6("local_ip6", i.Local.Addr())
	f.put("local_port", uint64(i.Local.Port()))
}

// counters stores those of a connection's counters that the context has, which
// are laid out as in struct bpf_tcp_sock.
func (f frame) counters(i *TCPInfo) {
	b := make([]byte, tcpSock.Size)
	if _, err := binary.Encode(b, binary.NativeEndian, i); err != nil {
		panic("BUG: TCPInfo is not struct bpf_tcp_sock")
	}
	for _, c := range tcpSock.Fields {
		v := uint64(binary.NativeEndian.Uint32(b[c.Off:]))
		if c.Size == 8 {
			v = binary.NativeEndian.Uint64(b[c.Off:])
		}
		f.put(c.Name, v)
	}
}

// Leave implements hook.Source.
func (e *SockEvent) Leave(t *hook.Type, r hook.Run) {
	f := frame{t, r.Ctx()}
	e.Reply, e.Callbacks, e.TxHash = f.get("reply"), f.get("bpf_sock_ops_cb_flags"), f.get("sk_txhash")
	e.Room = stateOf(r).HeaderRoom
	if e.Op == opWriteHdrOpt {
		e.Packet = r.Packet().Data()
	}
}

// A SendMessage is the message that an sk_msg program judges, and may change.
type SendMessage struct {
	Data    []byte // the program writes it in place, unless it pushes more into it
	Socket  *Socket
	Message Message // what the program says of it
	// Redirect is the socket that the message goes to instead, if the program
	// says so and passes it.
	Redirect Redirect
}

// Enter implements hook.Source.
func (m *SendMessage) Enter(t *hook.Type, r hook.Run) error {
	f, err := enter(t, r, "sk_msg")
	if err != nil {
		return err
	}
	if err := packet(r, m.Data); err != nil {
		return err
	}
	f.put("size", uint64(len(m.Data)))
	if m.Socket == nil {
		return nil
	}
	info := m.Socket.Info()
	f.endpoints(&info)
	stateOf(r).Socket = m.Socket
	return point(r, m.Socket)
}

// Leave implements hook.Source.
func (m *SendMessage) Leave(_ *hook.Type, r hook.Run) {
	st := stateOf(r)
	p := *r.Packet()
	st.Message.whole(&p)
	m.Data = p.Data()
	m.Message, m.Redirect = st.Message, st.Redirect
}

// A Delivery is a packet for which an sk_reuseport program chooses among the sockets
// that share a port, or, where migration is asked for, a connection request that
// needs another socket.
type Delivery struct {
	Packet      []byte // from its TCP or UDP header on
	EthProtocol uint16 // 0x0800 or 0x86dd
	IPProtocol  uint8  // 6 or 17
	AnyAddress  bool   // the group is bound to no address of its own
	Hash        uint32 // of the flow
	Socket      *Socket
	Migrating   *Socket

	Selected *Socket // that the program chose; nil: the hash decides
}

// Enter implements hook.Source.
func (d *Delivery) Enter(t *hook.Type, r hook.Run) error {
	f, err := enter(t, r, "sk_reuseport")
	if err != nil {
		return err
	}
	if err := packet(r, d.Packet); err != nil {
		return err
	}
	f.put("len", uint64(len(d.Packet)))
	f.put("eth_protocol", networkPort(d.EthProtocol))
	f.put("ip_protocol", uint64(d.IPProtocol))
	f.put("hash", uint64(d.Hash))
	if d.AnyAddress {
		f.put("bind_inany", 1)
	}
	stateOf(r).Socket = d.Socket
	if d.Migrating != nil {
		if err := r.Point("migrating_sk", d.Migrating); err != nil {
			return err
		}
	}
	return point(r, d.Socket)
}

// Leave implements hook.Source.
func (d *Delivery) Leave(_ *hook.Type, r hook.Run) { d.Selected = stateOf(r).Selected }

// A Dissection is a packet that a flow_dissector program takes apart, and what it
// finds. The packet begins with an Ethernet header.
type Dissection struct {
	Packet []byte
	Flags  uint32 // BPF_FLOW_DISSECTOR_F_*

	Keys [56]byte // struct bpf_flow_keys
}

// Offsets in struct bpf_flow_keys.
const (
	keysNhoff  = 0
	keysThoff  = 2
	keysNProto = 10
	keysFlags  = 48
)

// Memory implements hook.Object: programs write the keys.
func (k *keys) Memory(name string) []byte {
	if name == "bpf_flow_keys" {
		return k.b
	}
	return nil
}

type keys struct{ b []byte }

// Enter implements hook.Source.
func (d *Dissection) Enter(t *hook.Type, r hook.Run) error {
	if _, err := enter(t, r, "flow_dissector"); err != nil {
		return err
	}
	if len(d.Packet) < ethHeader {
		return fmt.Errorf("a packet of %d bytes has no Ethernet header", len(d.Packet))
	}
	if err := packet(r, d.Packet); err != nil {
		return err
	}
	b := make([]byte, flowKeys.Size) // as bpf_flow_dissect leaves them (net/core/flow_dissector.c)
	binary.NativeEndian.PutUint16(b[keysNhoff:], ethHeader)
	binary.NativeEndian.PutUint16(b[keysThoff:], ethHeader)
	copy(b[keysNProto:], d.Packet[12:14])
	binary.NativeEndian.PutUint32(b[keysFlags:], d.Flags)
	return r.Point("flow_keys", &keys{b})
}

// Leave implements hook.Source. Offsets outside the packet are moved into it.
func (d *Dissection) Leave(t *hook.Type, r hook.Run) {
	at := binary.NativeEndian.Uint64(r.Ctx()[t.Ctx.Field("flow_keys").HostOff:])
	k, ok := r.Object(at).(*keys)
	if !ok {
		return
	}
	end := uint16(min(len(d.Packet), 1<<16-1))
	nhoff := min(max(binary.NativeEndian.Uint16(k.b[keysNhoff:]), ethHeader), end)
	thoff := min(max(binary.NativeEndian.Uint16(k.b[keysThoff:]), nhoff), end)
	binary.NativeEndian.PutUint16(k.b[keysNhoff:], nhoff)
	binary.NativeEndian.PutUint16(k.b[keysThoff:], thoff)
	copy(d.Keys[:], k.b)
}

var _ = []hook.Source{(*SockAddr)(nil), (*SockCreate)(nil), (*Sockopt)(nil), (*Sysctl)(nil), (*Device)(nil), (*Lookup)(nil),
	(*SockEvent)(nil), (*SendMessage)(nil), (*Delivery)(nil), (*Dissection)(nil), (*Call)(nil), (*Sample)(nil), (*Frame)(nil)}

// A Frame is a packet of an skb or XDP program with what goes with it besides.
type Frame struct {
	Packet *helpers.Packet // NewPacket makes one
	Fields map[string]uint64
	Socket *Socket // the packet's, with its addresses; not of XDP
	State  State   // before the run what helpers are to know, after it what they left
}

// Enter implements hook.Source.
func (p *Frame) Enter(t *hook.Type, r hook.Run) error {
	if t.Input != hook.InputPacket || p.Packet == nil {
		return fmt.Errorf("a packet is the input of programs on packets, not %s", t.Name)
	}
	if err := r.GivePacket(*p.Packet); err != nil {
		return err
	}
	if p.Socket != nil { // of which programs on a socket's data see the addresses
		info := p.Socket.Info()
		frame{t, r.Ctx()}.endpoints(&info)
	}
	for name, v := range p.Fields {
		if err := t.Ctx.Set(r.Ctx(), name, v); err != nil {
			return err
		}
	}
	st := stateOf(r)
	mac := st.mac
	*st = p.State
	st.mac, st.Socket = mac, p.Socket
	if f := t.Ctx.Field("sk"); f == nil || p.Socket == nil {
		return nil
	}
	return r.Point("sk", p.Socket)
}

// Leave implements hook.Source.
func (p *Frame) Leave(_ *hook.Type, r hook.Run) {
	*p.Packet = *r.Packet()
	p.State = *stateOf(r)
}

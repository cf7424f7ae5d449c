package linux

import (
	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
)

// A Message is what an sk_msg program says of the message besides its verdict.
type Message struct {
	Apply uint32 // msg_apply_bytes: how many bytes the verdict is about; 0: all
	Cork  uint32 // msg_cork_bytes: how many must be there before the program runs again

	start, end int // of the whole message in the packet's buffer, once the program sees a part
	partial    bool
}

// Helpers on messages (net/core/filter.c). A message here is one buffer.

func msgApplyBytes(env helpers.Env, _, n, _, _, _ uint64) uint64 {
	stateOf(env).Message.Apply = uint32(n)
	return 0
}

func msgCorkBytes(env helpers.Env, _, n, _, _, _ uint64) uint64 {
	stateOf(env).Message.Cork = uint32(n)
	return 0
}

// whole makes the program see all of the message again.
func (m *Message) whole(p *helpers.Packet) {
	if m.partial {
		p.Meta, p.Head, p.Tail = m.start, m.start, m.end
		m.partial = false
	}
}

// msgPullData is msg_pull_data(ctx, start, end, flags): the program sees the bytes
// from start to end.
func msgPullData(env helpers.Env, _, start, end, flags, _ uint64) uint64 {
	m, p := &stateOf(env).Message, env.Packet()
	from, to := uint64(uint32(start)), uint64(uint32(end))
	size := p.Tail - p.Head
	if m.partial {
		size = m.end - m.start
	}
	if flags != 0 || to <= from || from >= uint64(size) || to > uint64(size) {
		return errno.EINVAL.R0()
	}
	m.whole(p)
	m.start, m.end, m.partial = p.Head, p.Tail, true
	p.Tail = p.Head + int(to)
	p.Head += int(from)
	p.Meta = p.Head
	env.SetPacket()
	return 0
}

// msgPushData is msg_push_data(ctx, start, n, flags): n bytes of zeros at start.
func msgPushData(env helpers.Env, _, start, n, flags, _ uint64) uint64 {
	if flags != 0 {
		return errno.EINVAL.R0()
	}
	room := uint64(uint32(n))
	if room == 0 {
		return 0
	}
	m, p := &stateOf(env).Message, env.Packet()
	size := p.Tail - p.Head
	if m.partial {
		size = m.end - m.start
	}
	at := uint64(uint32(start))
	if at > uint64(size) {
		return errno.EINVAL.R0()
	}
	if room > maxMessage-min(uint64(size), maxMessage) {
		return errno.ENOMEM.R0()
	}
	m.whole(p)
	reserve(p, 0, int(room))
	data := p.Buf[p.Head : p.Tail+int(room)]
	copy(data[at+room:], data[at:size])
	clear(data[at : at+room])
	p.Tail += int(room)
	put32(env.Ctx(), msgSize, uint32(p.Tail-p.Head))
	env.SetPacket()
	return 0
}

// maxMessage bounds what messages grow to: what a run can be given.
const maxMessage = 128 << 10

// msgPopData is msg_pop_data(ctx, start, n, flags): takes n bytes at start out.
func msgPopData(env helpers.Env, _, start, n, flags, _ uint64) uint64 {
	m, p := &stateOf(env).Message, env.Packet()
	size := p.Tail - p.Head
	if m.partial {
		size = m.end - m.start
	}
	at, gone := uint64(uint32(start)), uint64(uint32(n))
	switch {
	case flags != 0:
		return errno.EINVAL.R0()
	case gone == 0:
		return 0
	case at >= uint64(size) || at+gone > uint64(size):
		return errno.EINVAL.R0()
	}
	m.whole(p)
	data := p.Data()
	copy(data[at:], data[at+gone:])
	p.Tail -= int(gone)
	put32(env.Ctx(), msgSize, uint32(p.Tail-p.Head))
	env.SetPacket()
	return 0
}

var msgSize = skMsg.Field("size").HostOff

package linux

import "github.com/skepvm/skep/errno"

// A MessageQueue holds what a socket sends until an sk_msg program has judged it:
// it does about msg_apply_bytes and msg_cork_bytes what Linux does (net/ipv4/tcp_bpf.c,
// tcp_bpf_send_verdict). It is not for concurrent use.
type MessageQueue struct {
	Socket *Socket

	waits []byte // a message that is to grow first
	need  int    // by so many bytes
	rules Message
	apply int  // bytes that the verdict is still about; 0: all of the message
	known bool // there is a verdict, which holds for what comes
	last  SendMessage
	is    uint64
}

// Send takes data that the socket sends. judge runs the program on a message, as
// vm.Program.RunSource does, and deliver gets each part that a verdict is about, with
// what the program left: Redirect says where it goes. EACCES: the program dropped a
// part, and the rest of the message with it. A part that waits for more comes with a
// later Send.
func (q *MessageQueue) Send(data []byte, judge func(*SendMessage) (uint64, error), deliver func(part *SendMessage)) error {
	msg := append(q.waits, data...)
	if q.need > 0 {
		if q.need -= min(q.need, len(data)); q.need > 0 {
			q.waits = msg
			return nil
		}
		q.known = false // enough: the program sees all of it
	} else {
		q.rules = Message{}
	}
	q.waits = nil
	for len(msg) > 0 {
		if !q.known {
			m := &SendMessage{Data: msg, Socket: q.Socket}
			r0, err := judge(m)
			if err != nil {
				return err
			}
			// What the program does not say again about the same message holds.
			if m.Message.Apply == 0 {
				m.Message.Apply = q.rules.Apply
			}
			if m.Message.Cork == 0 {
				m.Message.Cork = q.rules.Cork
			}
			msg, q.rules, q.last, q.is, q.known = m.Data, m.Message, *m, r0, true
			q.apply = int(m.Message.Apply)
		}
		if cork := int(q.rules.Cork); cork > len(msg) {
			q.need, q.waits = cork-len(msg), msg
			return nil
		}
		n := len(msg)
		if q.apply > 0 {
			n = min(n, q.apply)
			q.apply -= n
		}
		if q.is == 0 {
			return errno.EACCES
		}
		part := q.last
		part.Data = msg[:n:n]
		deliver(&part)
		msg = msg[n:]
		if q.apply == 0 {
			q.known = false
		}
	}
	return nil
}

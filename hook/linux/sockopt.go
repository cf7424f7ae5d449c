package linux

import (
	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/hook"
)

// Judged returns what becomes of a system call which a cgroup's program judged that
// returned r0: the error that it set (set_retval), EPERM if it refused and set
// none, or nil (kernel/bpf/cgroup.c, bpf_prog_run_array_cg). retval is that of the
// source.
func Judged(r0 uint64, retval int32) error {
	switch {
	case retval < 0 && retval >= -maxErrno:
		return errno.Errno(-retval)
	case r0&1 == 0:
		return errno.EPERM
	}
	return nil
}

const maxErrno = 4095

// A Sockopt is the access to an option that a cgroup_sockopt program judges. It
// sees Value, at setsockopt with room for 16 bytes at least, and never more than a
// page. It may change that, and Len; at setsockopt also Level and Name; at
// getsockopt also Retval.
type Sockopt struct {
	Level, Name int32
	// Value is what is to be set, or the buffer for what is asked, with the answer
	// in it. After the run it is the program's buffer.
	Value  []byte
	Len    int32 // of the value or the answer; 0 beforehand: len(Value)
	Retval int32 // of the system call, so far: see Judged
	Socket *Socket

	// What they were before the run.
	given                    []byte
	level, name, len, retval int32
}

// Enter implements hook.Source.
func (o *Sockopt) Enter(t *hook.Type, r hook.Run) error {
	f, err := enter(t, r, "cgroup_sockopt")
	if err != nil {
		return err
	}
	if o.Len == 0 {
		o.Len = int32(len(o.Value))
	}
	o.given, o.level, o.name, o.len, o.retval = o.Value, o.Level, o.Name, o.Len, o.Retval
	size := len(o.Value)
	if t != CgroupSockopt {
		size = max(size, leastOption)
	}
	size = min(size, pageSize)
	buf := make([]byte, size) // the program's; what it leaves unsaid is as it was given
	copy(buf, o.Value)
	if err := packet(r, buf); err != nil {
		return err
	}
	f.put("level", uint64(uint32(o.Level)))
	f.put("optname", uint64(uint32(o.Name)))
	f.put("optlen", uint64(uint32(o.Len)))
	put32(f.ctx, sockoptRetval, uint32(o.Retval))
	stateOf(r).Socket, stateOf(r).Retval = o.Socket, o.Retval
	return point(r, o.Socket)
}

// leastOption is how much room programs have at setsockopt at least, for options
// such as TCP_CONGESTION that are names.
const leastOption = 16

// Leave implements hook.Source.
func (o *Sockopt) Leave(t *hook.Type, r hook.Run) {
	f := frame{t, r.Ctx()}
	o.Level, o.Name, o.Len = int32(f.get("level")), int32(f.get("optname")), int32(f.get("optlen"))
	o.Value = r.Packet().Data()
	o.Retval = stateOf(r).Retval
	if t.Ctx.Field("retval") != nil {
		o.Retval = int32(f.get("retval"))
	}
}

// Set returns what setsockopt does after a program returned r0: it sets option
// o.Name of o.Level to value, or, with done, nothing more, since the program did it.
func (o *Sockopt) Set(r0 uint64) (value []byte, done bool, err error) {
	if err := Judged(r0, o.Retval); err != nil {
		return nil, false, err
	}
	switch {
	case o.Len == -1:
		return nil, true, nil
	case o.Len >= 0 && o.Len <= int32(len(o.Value)):
		if o.Len == 0 {
			return o.given, false, nil
		}
		return o.Value[:o.Len], false, nil
	case o.Len >= 0 && len(o.given) > pageSize: // the program saw a part, and left it at that
		o.Level, o.Name = o.level, o.name
		return o.given, false, nil
	}
	return nil, false, errno.EFAULT
}

// Get returns what getsockopt answers after a program returned r0.
func (o *Sockopt) Get(r0 uint64) (value []byte, err error) {
	if err := Judged(r0, o.Retval); err != nil {
		return nil, err
	}
	switch {
	case o.Len == 0:
		return o.answered(), nil
	case o.Len > 0 && o.Len <= int32(len(o.Value)):
		return o.Value[:o.Len], nil
	case o.Len > 0 && o.len > pageSize: // the program saw a part, and is not asked
		if o.retval < 0 {
			return nil, Judged(0, o.retval)
		}
		return o.answered(), nil
	}
	return nil, errno.EFAULT
}

// answered is what there was before the program ran.
func (o *Sockopt) answered() []byte { return o.given[:max(0, min(int(o.len), len(o.given)))] }

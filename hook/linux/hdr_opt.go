package linux

import (
	"bytes"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
)

// Options of TCP headers, for sock_ops programs (net/core/filter.c,
// bpf_sock_ops_load_hdr_opt and what follows it). The packet begins with the TCP
// header, and ends with it.

// What a sock_ops program is run for, as far as its helpers ask.
const (
	opHdrOptLen   = 14 // how much room its options need
	opWriteHdrOpt = 15 // to write them
)

// Kinds of options that begin with a magic number (RFC 6994).
const (
	optExperiment1 = 253
	optExperiment2 = 254
)

const loadSyn = 1 // BPF_LOAD_HDR_OPT_TCP_SYN

// findOption returns the option of a kind, and, if magic is not empty, with it; an
// error is ENOMSG if there is none. ended says that options end before the header.
func findOption(options []byte, kind byte, magic []byte) (opt []byte, ended bool, e errno.Errno) {
	for len(options) > 0 {
		switch options[0] {
		case optEnd:
			return nil, true, errno.ENOMSG
		case optNop:
			options = options[1:]
			continue
		}
		if len(options) < 2 || options[1] < 2 || int(options[1]) > len(options) {
			return nil, false, errno.EFAULT
		}
		opt = options[:options[1]]
		if opt[0] == kind && bytes.HasPrefix(opt[2:], magic) {
			return opt, false, 0
		}
		if opt[0] == kind && len(magic) > len(opt)-2 {
			return nil, false, errno.ENOMSG // as the kernel has it
		}
		options = options[len(opt):]
	}
	return nil, false, errno.ENOMSG
}

// optionsOf returns a copy of what follows the first 20 bytes of a TCP header: the
// host's packet is the program's to write.
func optionsOf(header []byte) []byte {
	if len(header) <= tcpHeader {
		return nil
	}
	b := make([]byte, min(len(header), tcpLongest)-tcpHeader)
	helpers.CopyMem(b, header[tcpHeader:tcpHeader+len(b)])
	return b
}

// loadHdrOpt is load_hdr_opt(ctx, option, size, flags): finds the option that the
// first bytes at option say, and copies it there.
func loadHdrOpt(env helpers.Env, _, to, size, flags, _ uint64) uint64 {
	op, st := get32(env.Ctx(), opsOp), stateOf(env)
	if op > opWriteHdrOpt {
		return errno.EOPNOTSUPP.R0()
	}
	b := helpers.Mem(env, to, size)
	if len(b) < 2 || flags&^loadSyn != 0 {
		return errno.EINVAL.R0()
	}
	var head [6]byte
	helpers.CopyMem(head[:min(6, len(b))], b[:min(6, len(b))])
	kind, n := head[0], int(head[1])
	if n > len(b) || kind == optNop || kind == optEnd {
		return errno.EINVAL.R0()
	}
	var magic []byte
	switch {
	case kind == optExperiment1 || kind == optExperiment2:
		if n != 4 && n != 6 {
			return errno.EINVAL.R0()
		}
		magic = head[2:n]
	case n != 0:
		return errno.EINVAL.R0()
	}
	header := env.Packet().Data()
	switch {
	case flags&loadSyn != 0:
		if header = st.Syn; header == nil {
			return errno.ENOENT.R0()
		}
	case op == opHdrOptLen || !st.hasHeader:
		return errno.EPERM.R0()
	}
	opt, _, e := findOption(optionsOf(header), kind, magic)
	if e != 0 {
		return e.R0()
	}
	n = min(len(opt), len(b))
	helpers.CopyMem(b[:n], opt[:n])
	if n < len(opt) {
		return errno.ENOSPC.R0()
	}
	return uint64(n)
}

// storeHdrOpt is store_hdr_opt(ctx, option, size, flags): appends an option to the
// header, unless there is one of its kind.
func storeHdrOpt(env helpers.Env, _, from, size, flags, _ uint64) uint64 {
	st, p := stateOf(env), env.Packet()
	if get32(env.Ctx(), opsOp) != opWriteHdrOpt {
		return errno.EPERM.R0()
	}
	b := helpers.Mem(env, from, size)
	if len(b) < 2 || flags != 0 {
		return errno.EINVAL.R0()
	}
	var opt [tcpLongest]byte // longer ones do not fit a header
	n := min(len(b), len(opt))
	helpers.CopyMem(opt[:n], b[:n])
	kind, length := opt[0], int(opt[1])
	switch {
	case length > len(b) || kind == optNop || kind == optEnd:
		return errno.EINVAL.R0()
	case uint32(length) > st.HeaderRoom || length > len(p.Buf)-p.Tail:
		return errno.ENOSPC.R0()
	}
	var magic []byte
	if kind == optExperiment1 || kind == optExperiment2 {
		if length < 4 {
			return errno.EINVAL.R0()
		}
		magic = opt[2:4]
	}
	switch _, ended, e := findOption(optionsOf(p.Data()), kind, magic); {
	case e == 0:
		return errno.EEXIST.R0()
	case e != errno.ENOMSG:
		return e.R0()
	case ended:
		return errno.ENOSPC.R0()
	}
	helpers.CopyMem(p.Buf[p.Tail:p.Tail+length], opt[:length])
	p.Tail += length
	st.HeaderRoom -= uint32(length)
	env.SetPacket()
	return 0
}

// reserveHdrOpt is reserve_hdr_opt(ctx, size, flags): asks for room in the header
// that will be written.
func reserveHdrOpt(env helpers.Env, _, size, flags, _, _ uint64) uint64 {
	st, n := stateOf(env), uint32(size)
	switch {
	case get32(env.Ctx(), opsOp) != opHdrOptLen:
		return errno.EPERM.R0()
	case flags != 0 || n < 2:
		return errno.EINVAL.R0()
	case n > st.HeaderRoom:
		return errno.ENOSPC.R0()
	}
	st.HeaderRoom -= n
	return 0
}

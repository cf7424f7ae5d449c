package linux

import (
	"crypto/rand"
	"encoding/binary"
	"sync"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
)

// SYN cookies (net/ipv4/syncookies.c, net/ipv6/syncookies.c): sequence numbers
// that say which connection request they answer, and when, so that a server need
// not keep it. The hash's keys are CookieKeys, the rest is as in the kernel.

// CookieKeys are the secret of SYN cookies.
type CookieKeys [2][16]byte

// processKeys are those of hosts that have none of their own.
var processKeys = sync.OnceValue(func() *CookieKeys {
	k := new(CookieKeys)
	for i := range k {
		_, _ = rand.Read(k[i][:]) // which does not fail
	}
	return k
})

const (
	cookieBits = 24 // below: the size and a hash; above: the minute
	cookieMask = 1<<cookieBits - 1
	cookieAge  = 2 // minutes for which cookies are good, the current one being the first
)

// What cookies can say of the largest segment.
var (
	cookieSizes4 = [...]uint16{536, 1300, 1440, 1460}
	cookieSizes6 = [...]uint16{1280 - 60, 1480 - 60, 1500 - 60, 9000 - 60}
)

// Sizes of segments where the request says nothing.
const (
	defaultMSS4 = 536
	defaultMSS6 = 1280 - ipv6Header - tcpHeader
)

const (
	tcpHeader  = 20
	tcpLongest = 60 // with options
)

// Flags of TCP, in the header's 14th byte.
const (
	tcpFin = 1 << iota
	tcpSyn
	tcpRst
	_
	tcpAck
)

// A cookieFlow is the connection that a cookie is about, and the packet's headers:
// copies, since other programs may write where they lie.
type cookieFlow struct {
	ip, th []byte

	keys   *CookieKeys
	minute uint32
	ends   []byte // addresses and ports, as they are hashed
	sizes  *[4]uint16

	ipBuf   [ipv6Header]byte
	tcpBuf  [tcpLongest]byte
	endsBuf [48]byte
}

// read copies what there is of the headers.
func (f *cookieFlow) read(ip, th []byte) {
	f.ip, f.th = f.ipBuf[:min(len(ip), ipv6Header)], f.tcpBuf[:min(len(th), tcpLongest)]
	helpers.CopyMem(f.ip, ip[:len(f.ip)])
	helpers.CopyMem(f.th, th[:len(f.th)])
}

// begin gets ready to make or to check a cookie.
func (f *cookieFlow) begin(env helpers.Env, six bool) {
	f.keys = host(env).Sockets.CookieKeys
	if f.keys == nil {
		f.keys = processKeys()
	}
	f.minute = uint32(env.Host().Now(helpers.ClockMonotonic) / 60e9)
	b := f.endsBuf[:0]
	if six {
		b, f.sizes = append(b, f.ip[8:40]...), &cookieSizes6
	} else {
		b, f.sizes = append(b, f.ip[12:20]...), &cookieSizes4
	}
	f.ends = append(b, f.th[:4]...)
}

// hash is cookie_hash.
func (f *cookieFlow) hash(minute uint32, key int) uint32 {
	return uint32(sipHash(&f.keys[key], binary.NativeEndian.AppendUint32(f.ends, minute)))
}

// make is secure_tcp_syn_cookie for the largest of the sizes that mss allows, which
// it returns, too.
func (f *cookieFlow) make(seq uint32, mss uint16) (cookie uint32, size uint16) {
	i := len(f.sizes) - 1
	for i > 0 && mss < f.sizes[i] {
		i--
	}
	return f.hash(0, 0) + seq + f.minute<<cookieBits + (f.hash(f.minute, 1)+uint32(i))&cookieMask, f.sizes[i]
}

// good is check_tcp_syn_cookie.
func (f *cookieFlow) good(cookie, seq uint32) bool {
	cookie -= f.hash(0, 0) + seq
	old := (f.minute - cookie>>cookieBits) & (1<<(32-cookieBits) - 1)
	return old < cookieAge && (cookie-f.hash(f.minute-old, 1))&cookieMask < uint32(len(f.sizes))
}

// answers reports whether the packet acknowledges a cookie.
func (f *cookieFlow) answers() bool {
	return f.good(binary.BigEndian.Uint32(f.th[8:])-1, binary.BigEndian.Uint32(f.th[4:])-1)
}

// answer returns the cookie for the request, and above it the size that it stands
// for.
func (f *cookieFlow) answer(six bool) uint64 {
	otherwise := uint16(defaultMSS4)
	if six {
		otherwise = defaultMSS6
	}
	cookie, size := f.make(binary.BigEndian.Uint32(f.th[4:]), optionMSS(f.th[tcpHeader:], otherwise))
	return uint64(cookie) | uint64(size)<<32
}

// whole reports whether the TCP header is whole, with its options, and nothing
// is behind it; n is its size.
func (f *cookieFlow) whole(n uint64) bool {
	return len(f.th) >= tcpHeader && n == uint64(f.th[12]>>4)*4
}

const (
	optEnd  = 0
	optNop  = 1
	optMSS  = 2
	mssSize = 4
)

// optionMSS is tcp_parse_mss_option: the last size of segments that the options
// have, or otherwise.
func optionMSS(options []byte, otherwise uint16) uint16 {
	mss := uint16(0)
	for len(options) > 0 && options[0] != optEnd {
		if options[0] == optNop {
			options = options[1:]
			continue
		}
		if len(options) < 2 || options[1] < 2 || int(options[1]) > len(options) {
			break
		}
		if options[0] == optMSS && options[1] == mssSize {
			if v := binary.BigEndian.Uint16(options[2:]); v != 0 {
				mss = v
			}
		}
		options = options[options[1]:]
	}
	if mss == 0 {
		return otherwise
	}
	return mss
}

// rawGenCookie is tcp_raw_gen_syncookie_ipv4(ip, th, size) and its like, of which
// ipSize is the size of the IP header.
func rawGenCookie(ipSize int) helpers.Impl {
	return func(env helpers.Env, ip, th, size, _, _ uint64) uint64 {
		var f cookieFlow
		f.read(env.Bytes(ip, ipSize), helpers.Mem(env, th, size))
		if len(f.ip) < ipSize || !f.whole(size) {
			return errno.EINVAL.R0()
		}
		f.begin(env, ipSize == ipv6Header)
		return f.answer(ipSize == ipv6Header)
	}
}

// rawCheckCookie is tcp_raw_check_syncookie_ipv4(ip, th) and its like.
func rawCheckCookie(ipSize int) helpers.Impl {
	return func(env helpers.Env, ip, th, _, _, _ uint64) uint64 {
		var f cookieFlow
		f.read(env.Bytes(ip, ipSize), env.Bytes(th, tcpHeader))
		if len(f.ip) < ipSize || len(f.th) < tcpHeader {
			return errno.EINVAL.R0()
		}
		f.begin(env, ipSize == ipv6Header)
		if !f.answers() {
			return errno.EACCES.R0()
		}
		return 0
	}
}

// version says of which version the packet is, and whether a listener s answers it.
func (f *cookieFlow) version(s *SocketInfo) (six bool, e errno.Errno) {
	if len(f.ip) < ipv4Header {
		return false, errno.EINVAL
	}
	switch f.ip[0] >> 4 {
	case 4:
		if s.Family == AFInet6 && s.OnlyIPv6 {
			return false, errno.EINVAL
		}
		return false, 0
	case 6:
		if len(f.ip) < ipv6Header || s.Family != AFInet6 {
			return true, errno.EINVAL
		}
		return true, 0
	}
	return false, errno.EPROTONOSUPPORT
}

// listens reports whether programs can ask for cookies of the socket.
func (i *SocketInfo) listens() bool {
	return !i.Mini && i.Protocol == protoTCP && i.State == TCPListen
}

// genCookie is tcp_gen_syncookie(sk, ip, size, th, size). ENOENT: the listener
// does without.
func genCookie(env helpers.Env, sk, ip, ipSize, th, size uint64) uint64 {
	var f cookieFlow
	f.read(helpers.Mem(env, ip, ipSize), helpers.Mem(env, th, size))
	s := SocketAt(env, sk)
	if s == nil || !f.whole(size) {
		return errno.EINVAL.R0()
	}
	i := s.Info()
	if !i.listens() || f.th[13]&(tcpSyn|tcpAck|tcpFin|tcpRst) != tcpSyn {
		return errno.EINVAL.R0()
	}
	six, e := f.version(&i)
	switch {
	case e != 0:
		return e.R0()
	case !i.Cookies:
		return errno.ENOENT.R0()
	}
	f.begin(env, six)
	return f.answer(six)
}

// checkCookie is tcp_check_syncookie(sk, ip, size, th, size).
func checkCookie(env helpers.Env, sk, ip, ipSize, th, size uint64) uint64 {
	var f cookieFlow
	f.read(helpers.Mem(env, ip, ipSize), helpers.Mem(env, th, size))
	s := SocketAt(env, sk)
	if s == nil || len(f.th) < tcpHeader {
		return errno.EINVAL.R0()
	}
	i := s.Info()
	switch {
	case !i.listens():
		return errno.EINVAL.R0()
	case f.th[13]&(tcpAck|tcpRst|tcpSyn) != tcpAck:
		return errno.ENOENT.R0()
	case len(f.ip) < ipv4Header:
		return errno.EINVAL.R0()
	case !i.Cookies:
		return errno.ENOENT.R0()
	}
	six, e := f.version(&i)
	if e != 0 {
		return e.R0()
	}
	f.begin(env, six)
	if !f.answers() {
		return errno.ENOENT.R0()
	}
	return 0
}

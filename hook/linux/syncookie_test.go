package linux_test

import (
	"encoding/binary"
	"testing"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/helpers/helpertest"
	"github.com/skepvm/skep/hook/linux"
)

// TestCookieAge: a cookie is good in the minute in which it was made and in the
// next one (MAX_SYNCOOKIE_AGE, include/net/tcp.h), for hosts with the same keys.
func TestCookieAge(t *testing.T) {
	now := uint64(0)
	var keys, others linux.CookieKeys
	keys[1][3], others[1][3] = 7, 8
	run := func(id helpers.ID, k *linux.CookieKeys, ip, th []byte) uint64 {
		env := &helpertest.Env{HostFuncs: helpers.Host{Now: func(helpers.Clock) uint64 { return now }, Platform: &linux.Host{Sockets: linux.Sockets{CookieKeys: k}}}}
		return linux.XDP.Helpers.Helper(id).Impl(env, env.Put(ip), env.Put(th), uint64(len(th)), 0, 0)
	}
	const minute = 60e9
	ip, request := make([]byte, 20), make([]byte, 20)
	request[12], request[7] = 5<<4, 41
	for _, begin := range []uint64{0, minute / 2, 255 * minute, 256*minute - 1, 1 << 50} {
		now = begin
		cookie := run(204, &keys, ip, request)
		if cookie>>32 != 536 {
			t.Fatalf("a cookie for segments of %d bytes", cookie>>32)
		}
		answer := make([]byte, 20)
		answer[7] = 42
		binary.BigEndian.PutUint32(answer[8:], uint32(cookie)+1)
		for after, want := range map[uint64]uint64{0: 0, 1: 0, 2: errno.EACCES.R0(), 3: errno.EACCES.R0(), 200: errno.EACCES.R0()} {
			if now = begin + after*minute; run(206, &keys, ip, answer) != want {
				t.Errorf("made at %d, %d minutes later: %d, want %d", begin, after, int64(run(206, &keys, ip, answer)), int64(want))
			}
		}
		if now = begin; run(206, &others, ip, answer) == 0 {
			t.Error("a host with other keys takes the cookie")
		}
		if run(206, nil, ip, answer) == 0 {
			t.Error("a host without keys takes the cookie")
		}
	}
}

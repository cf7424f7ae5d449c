package vm

import (
	"fmt"
	"os"
	"syscall"
)

// writePerfMap appends lines to the map that perf reads for this process.
//
// Anyone may make a file of that name before: a link, a pipe or another user's
// file is refused, so that nobody can choose what is written to or wait for it.
func writePerfMap(lines []byte) error {
	name := fmt.Sprintf("/tmp/perf-%d.map", os.Getpid())
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return fmt.Errorf("perf map: %w", err)
	}
	info, err := f.Stat()
	if err == nil {
		if own, ok := info.Sys().(*syscall.Stat_t); !info.Mode().IsRegular() || !ok || int(own.Uid) != os.Geteuid() {
			err = fmt.Errorf("%s is no file of this user", name)
		}
	}
	if err == nil {
		_, err = f.Write(lines) // in one call, so that other loads do not come between
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("perf map: %w", err)
	}
	return nil
}

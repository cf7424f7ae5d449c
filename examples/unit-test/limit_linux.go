package limit

import (
	"fmt"

	"github.com/cilium/ebpf/link"
)

// A Limiter is the program at work in the kernel.
type Limiter struct {
	objects limitObjects
	link    link.Link
}

// Attach loads the program and attaches it to a network interface. It needs
// Linux, and root.
func Attach(ifindex int, perSecond uint32) (*Limiter, error) {
	spec, err := loadLimit()
	if err != nil {
		return nil, err
	}
	if err := spec.Variables[limitVarPerSecond].Set(perSecond); err != nil {
		return nil, err
	}
	l := &Limiter{}
	if err := spec.LoadAndAssign(&l.objects, nil); err != nil {
		return nil, fmt.Errorf("loading: %w", err)
	}
	if l.link, err = link.AttachXDP(link.XDPOptions{Program: l.objects.Limit, Interface: ifindex}); err != nil {
		l.objects.Close()
		return nil, err
	}
	return l, nil
}

// Dropped returns how many packets were dropped.
func (l *Limiter) Dropped() (n uint64, err error) {
	err = l.objects.Dropped.Get(&n)
	return n, err
}

// Close ends the limit.
func (l *Limiter) Close() error {
	l.link.Close()
	return l.objects.Close()
}

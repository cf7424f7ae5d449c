package vm

import (
	"context"
	"fmt"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
)

// RunSource runs the program on what src gives it, and returns its R0. The run
// ends with context.Cause(ctx) when ctx is done. What Run says of errors holds.
func (p *Program) RunSource(ctx context.Context, src hook.Source) (r0 uint64, err error) {
	s, err := p.open(ctx)
	if err != nil {
		return 0, err
	}
	defer s.close()
	if src == nil {
		return 0, fmt.Errorf("program %s: no source", p.name)
	}
	if err := src.Enter(p.typ, sourceRun{s}); err != nil {
		return 0, fmt.Errorf("program %s: %w", p.name, err)
	}
	r0, err = s.exec.exec()
	s.ok = err == nil
	if err == nil {
		src.Leave(p.typ, sourceRun{s})
	}
	return r0, err
}

// A sourceRun is a slot as a Source sees it.
type sourceRun struct{ *slot }

func (r sourceRun) GivePacket(p helpers.Packet) error {
	if !r.prog.hasPacket {
		return fmt.Errorf("programs of type %s have no packet", typeName(r.prog.typ))
	}
	return r.setPacket(&p)
}

func (r sourceRun) Point(name string, o hook.Object) error { return r.point(name, o) }

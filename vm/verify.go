package vm

import (
	"context"

	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// verify proves p safe if the options ask for it; otherwise v is nil.
func (c *Collection) verify(p *prog.Program) (v *verifier.Verified, err error) {
	if c.opts.Verify == VerifyNone {
		return nil, nil
	}
	return c.prove(p, c.opts.Rules)
}

// prove proves p safe by the given rules. The functions that the host adds
// belong to what p may call, with their contracts.
func (c *Collection) prove(p *prog.Program, rules verifier.Options) (*verifier.Verified, error) {
	typ, with := *p.Type, *p
	typ.Helpers = c.set(p.Type)
	with.Type = &typ
	with.Maps = make([]*maps.Spec, len(p.Maps))
	for i, s := range p.Maps {
		if _, given := c.opts.Maps[s.Name]; given && s.Frozen {
			thawed := *s // the host's map may hold anything
			thawed.Frozen = false
			s = &thawed
		}
		with.Maps[i] = s
	}
	if rules.MaxPacket == 0 || rules.MaxPacket > MaxPacket {
		rules.MaxPacket = MaxPacket
	}
	v, _, err := verifier.Verify(context.Background(), &with, rules)
	return v, err
}

// allowUninitStack says whether programs may read stack bytes that they have
// not written: the verifier's rules, if it was asked, decide that.
func (o *Options) allowUninitStack() bool {
	return o.AllowUninitStack || o.Verify != VerifyNone && !o.Rules.Strict
}

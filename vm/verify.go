package vm

import (
	"context"
	"fmt"

	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// verify proves p safe if the options need or use a proof. v is nil if there is
// none, and why says why not; an error refuses p.
func (c *Collection) verify(ctx context.Context, p *prog.Program) (v *proof, why string, err error) {
	o := &c.opts
	if o.Engine == Checked && o.Verify != VerifyRequire {
		return nil, "the checked interpreter was asked for", nil
	}
	v, err = c.prove(ctx, p, o.Rules)
	if err != nil && ctx.Err() == nil && o.Engine == Auto && o.Verify == VerifyOptional {
		return nil, fmt.Sprintf("not proven safe: %v", err), nil
	}
	return v, "", err
}

// prove proves p safe by the given rules. The functions that the host adds
// belong to what p may call, with their contracts.
func (c *Collection) prove(ctx context.Context, p *prog.Program, rules verifier.Options) (*proof, error) {
	typ, with := *p.Type, *p
	typ.Helpers = c.set(p.Type)
	with.Type = &typ
	with.Maps = make([]*maps.Spec, len(p.Maps))
	for i, s := range p.Maps {
		if c.shared(s.Name) && s.Frozen {
			thawed := *s // it may hold anything
			thawed.Frozen = false
			s = &thawed
		}
		with.Maps[i] = s
	}
	rules.MaxPacket = MaxPacket // which runs are held to
	return c.verified(ctx, p, &with, rules)
}

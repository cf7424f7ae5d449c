package main

import (
	"fmt"
	"strings"

	"github.com/skepvm/skep/hook"
)

// parseFields reads the values of --ctx: FIELD=NUMBER, separated by commas,
// for the context of type t.
func parseFields(values []string, t *hook.Type) (map[string]uint64, error) {
	if len(values) == 0 {
		return nil, nil
	}
	fields := map[string]uint64{}
	scratch := make([]byte, max(t.Ctx.Size, t.Ctx.HostSize))
	for _, v := range values {
		for _, part := range strings.Split(v, ",") {
			name, text, ok := strings.Cut(part, "=")
			if name = strings.TrimSpace(name); !ok || name == "" {
				return nil, fmt.Errorf("--ctx %q is no FIELD=NUMBER", part)
			}
			n, err := parseInteger(strings.TrimSpace(text))
			if err != nil {
				return nil, fmt.Errorf("--ctx %s: %w", name, err)
			}
			if !n.IsInt64() && !n.IsUint64() {
				return nil, fmt.Errorf("--ctx %s: %v does not fit 8 bytes", name, n)
			}
			fields[name] = n.Uint64()
			if n.Sign() < 0 {
				fields[name] = uint64(n.Int64())
			}
			if err := t.Ctx.Set(scratch, name, fields[name]); err != nil {
				return nil, fmt.Errorf("--ctx %s: %w; fields of %s: %s", name, err, t.Ctx.Name, scalarFields(&t.Ctx))
			}
		}
	}
	return fields, nil
}

// scalarFields lists the fields that a number can be given for.
func scalarFields(c *hook.Ctx) string {
	var names []string
	for i := range c.Fields {
		if f := &c.Fields[i]; f.Kind == hook.FieldScalar && f.Name != "" {
			names = append(names, f.Name)
		}
	}
	return strings.Join(names, ", ")
}

package vm

import (
	"fmt"
	stdmaps "maps"
	"slices"
	"strings"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// Variable returns a global C variable of c as a Go value:
//
//	dropped, err := vm.Variable[uint64](coll, "dropped")
//	n, err := dropped.Get()
//
// ENOENT: there is none. EINVAL: T is not what the variable's C type is; see
// maps.NewTyped. Values that const variables are to have are given before the
// object is loaded (prog.Variable.Set).
func Variable[T any](c *Collection, name string) (*maps.Variable[T], error) {
	v := c.variables[name]
	if v == nil {
		names := strings.Join(slices.Sorted(stdmaps.Keys(c.variables)), ", ")
		return nil, fmt.Errorf("no variable %q; there are %q: %w", name, names, errno.ENOENT)
	}
	out, err := maps.NewVariable[T](c.specs[v.Map], v.Off, v.Type, v.Size)
	if err != nil {
		return nil, fmt.Errorf("variable %s: %w", name, err)
	}
	return out, nil
}

// noteVariables remembers where the variables of obj are.
func (c *Collection) noteVariables(obj *prog.Object) {
	c.variables = make(map[string]*prog.Variable, len(obj.Variables))
	for _, v := range obj.Variables {
		if c.specs[v.Map] != nil {
			one := *v // obj may change
			c.variables[v.Name] = &one
		}
	}
}

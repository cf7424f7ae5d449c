package prog

import "github.com/skepvm/skep/maps"

// Program returns the program called name, or nil.
func (o *Object) Program(name string) *Spec {
	for _, s := range o.Programs {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// Map returns the map called name, data sections included, or nil.
func (o *Object) Map(name string) *maps.Spec {
	for _, m := range o.Maps {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// Variable returns the global variable called name, or nil.
func (o *Object) Variable(name string) *Variable {
	for _, v := range o.Variables {
		if v.Name == name {
			return v
		}
	}
	return nil
}

package hook

import "reflect"

// DefineStruct makes the program's side of Define for a struct type that is
// made at run time.
func DefineStruct(name string, rt reflect.Type) (*Type, error) {
	t := &Type{Name: name, Input: InputTyped, Return: AnyReturn}
	root := member{name: name, kind: memberStruct}
	if err := root.readStruct(rt, false); err != nil {
		return nil, err
	}
	return t, t.setLayout(&root)
}

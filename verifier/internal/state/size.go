package state

import "reflect"

var (
	stateSize = int64(reflect.TypeFor[State]().Size())
	frameSize = int64(reflect.TypeFor[Frame]().Size())
	valSize   = int64(reflect.TypeFor[Val]().Size())
	objSize   = int64(reflect.TypeFor[Obj]().Size())
	edgeSize  = int64(reflect.TypeFor[Edge]().Size())
	ghostSize = int64(reflect.TypeFor[Ghost]().Size())
	cellSize  = int64(reflect.TypeFor[Cell]().Size())
)

// Bytes returns how much memory s takes, slices included. Cells that it shares
// with other states count in each.
func (s *State) Bytes() int64 {
	n := stateSize + int64(cap(s.Frames))*frameSize + int64(cap(s.Vals))*valSize + int64(cap(s.Objs))*objSize +
		int64(cap(s.Edges))*edgeSize + int64(cap(s.Ghosts))*ghostSize
	for i := range s.Frames {
		n += int64(cap(s.Frames[i].Stack.cells)) * cellSize
	}
	return n
}

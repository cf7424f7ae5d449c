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

// Bytes returns how much memory s takes, slices included as far as they are
// used: it does not depend on what a Pool gave.
func (s *State) Bytes() int64 {
	n := stateSize + int64(len(s.Frames))*frameSize + int64(len(s.Vals))*valSize + int64(len(s.Objs))*objSize +
		int64(len(s.Edges))*edgeSize + int64(len(s.Ghosts))*ghostSize
	for i := range s.Frames {
		n += int64(len(s.Frames[i].Stack.cells)) * cellSize
	}
	return n
}

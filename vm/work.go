package vm

// Meters count instructions, and a call of a helper is one, however long it takes.
// So what helpers do is counted, too, roughly, for the sake of whoever cancels a run:
// calls, callbacks, and memory.

const (
	// workPerLook is how much work is done between two looks at whether the run was
	// cancelled: some 10 µs as a rule.
	workPerLook = 64
	// largeWork is how much memory makes as much work as a call.
	largeWork = 1 << 12
	// bulk is how much memory helpers work on in parts (helpers.Worker).
	bulk = 1 << 18
)

// work notes n units of work.
func (s *slot) work(n uint64) {
	if s.done += n; s.done >= workPerLook && s.exec != nil { // nobody cancels quick runs
		s.done = 0
		s.exec.look()
	}
}

// Work implements helpers.Worker.
func (s *slot) Work(n int) (goOn bool) {
	s.workOn(uint64(n))
	return s.exec == nil || !s.exec.over()
}

// Work implements helpers.Worker: nobody cancels a quick run.
func (e *early) Work(n int) (goOn bool) { return (*slot)(e).Work(n) }

// workOn notes work on n bytes of memory.
func (s *slot) workOn(n uint64) {
	if n >= largeWork {
		s.work(n / largeWork)
	}
}

package rt

import "fmt"

// An Exit says why code left. From 0 on it is the index of a helper, and the
// stub deals with it; Enter returns only negative ones.
type Exit int32

const (
	// Done: the program ended. Result is its R0, which the stub puts into
	// Context.R0.
	Done Exit = -1
	// Yield: the meter is spent. Code has stored Result and ExitCode in
	// Context.Save, and Result is the address to go on at; the stub restores
	// all registers, flags apart.
	Yield Exit = -2
	// Stopped: the stub found the context stopped after a helper or a yield.
	// Code does not use it.
	Stopped Exit = -3
	// Custom and all below are the code's own. Result goes to Context.R0.
	Custom Exit = -16
)

// String returns the name of the exit.
func (e Exit) String() string {
	switch {
	case e >= 0:
		return fmt.Sprintf("helper %d", int32(e))
	case e == Done:
		return "done"
	case e == Yield:
		return "yield"
	case e == Stopped:
		return "stopped"
	case e <= Custom:
		return fmt.Sprintf("custom %d", int32(Custom-e))
	}
	return fmt.Sprintf("Exit(%d)", int32(e))
}

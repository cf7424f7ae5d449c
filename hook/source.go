package hook

import "github.com/skepvm/skep/helpers"

// A Source is the input of a run that is more than bytes: it fills the context,
// points it to objects, and tells helpers what they are to know of this run. What
// the program leaves it takes back. Package hook/linux has a Source for each of
// its contexts that needs one.
type Source interface {
	// Enter prepares the run of a program of type t. An error ends it.
	Enter(t *Type, r Run) error
	// Leave is called when the program has ended without an error.
	Leave(t *Type, r Run)
}

// A Run is what a Source sees of a run, before and after it. It must not be kept.
type Run interface {
	helpers.Env
	// GivePacket makes p the run's packet, and has t.Prepare fill the context
	// from it. A type without a packet has no use for it: an error.
	GivePacket(p helpers.Packet) error
	// Point makes the context's field called name point to o.
	Point(name string, o Object) error
}

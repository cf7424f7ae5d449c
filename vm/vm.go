// Package vm runs programs: Load makes a Collection of an object's maps and
// programs, Program.Run runs one, and a Hook runs those that were attached to
// it, in order.
//
//	obj, err := elf.Open("filter.o")
//	coll, err := vm.Load(obj, vm.Options{})
//	defer coll.Close()
//	verdict, err := coll.Program("xdp_filter").Run(packet)
//
// Everything may be used from any number of goroutines at the same time. A run
// leases a virtual CPU, which owns the memory of its stack and context, so a
// run allocates nothing.
//
// # Safety
//
// By default a program must be proven safe before it runs: Load refuses one that
// the verifier does not accept, and says why. A proven program becomes machine
// code on linux with amd64 and arm64, and runs in the fast interpreter
// elsewhere; neither checks what has been proven. With Engine Checked a program
// needs no proof, since every access is checked when it happens: if it does
// something wrong it ends with a *Fault, and has touched nothing but its own
// memory: stack, context, packet, maps, and what helpers gave it.
// Program.Engine says which engine runs a program, and why. How long a run may
// take is bounded by Options.MaxInsns.
// Whatever it borrowed, such as a ring buffer reservation, it gives back when it
// ends, also if it was cut short, or if a helper panicked: the panic then
// surfaces from Run.
package vm

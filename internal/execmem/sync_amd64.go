//go:build linux || darwin

package execmem

func prepare() error { return nil }

// synchronise has nothing to do: instruction caches are coherent, and pages
// that are executable only now cannot have been prefetched from; whoever learns
// their address runs after the system call that made them so (SDM vol. 3,
// "Handling Self- and Cross-Modifying Code").
func synchronise([]byte) error { return nil }

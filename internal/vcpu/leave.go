//go:build race || !amd64

package vcpu

// leave makes c idle.
func (c *CPU) leave() { c.state.Store(idle) }

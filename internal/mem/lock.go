package mem

import "sync/atomic"

// Spin locks of map values: a word of 4 bytes, 0 while nobody has the lock.
// Programs and Go code take the same ones.

// TryLock takes the lock w, if nobody has it.
func TryLock(w *atomic.Uint32) bool { return w.Load() == 0 && w.CompareAndSwap(0, 1) }

// Unlock gives the lock w back, which the caller has.
func Unlock(w *atomic.Uint32) { w.Store(0) }

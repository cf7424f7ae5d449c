//go:build race

package maps_test

// poolsForget says that sync.Pool drops some of what it is given.
const poolsForget = true

//go:build !race

package maps_test

const poolsForget = false

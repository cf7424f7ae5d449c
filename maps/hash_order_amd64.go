//go:build !race

package maps

// optimistic: loads are not reordered with loads, nor stores with stores, on
// amd64 (SDM vol. 3, 10.2.2, "Memory Ordering in P6 and More Recent Processor
// Families").
const optimistic = true

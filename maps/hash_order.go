//go:build race || !amd64

package maps

// optimistic says that Go code may read entries and find out afterwards whether
// it was allowed to. Loads and stores have to be seen in program order for that,
// and the race detector must not look.
const optimistic = false

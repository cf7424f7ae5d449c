// Package linear holds the test that maps are linearizable: whatever Go code and
// programs did to a map at the same time, there is an order of single steps, each
// between its beginning and its end, that explains what all of them saw.
//
// It has no code but tests. They lie in the command's module because of what
// they import (porcupine): no embedder's go.sum is to name it.
package linear

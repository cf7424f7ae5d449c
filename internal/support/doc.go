// Command support prints docs/support.md: what skep has of Linux's map types,
// helpers and kfuncs. Nothing in the page is written by hand but the reasons for
// what is not there (reasons.go); a test compares the page with the code.
package main

//go:generate go run . ../../docs/support.md

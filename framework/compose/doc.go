// Package compose reads Compose files into an app.App (Load), and writes an App as a
// Compose file (Canonical). compose-go parses, merges and interpolates the files; this
// package maps its project to an App, and reports every key that cannot be honoured,
// with its position. keys.txt decides about each key; docs/compose.md shows it.
// Start reading at load.go.
//
// Load reads the Compose files and the files that they name. The package does no other
// I/O, and starts nothing.
package compose

// Package compose turns Compose files into an app.App, and an App into the text of a
// Compose file. compose-go does the parsing; this package maps, and refuses by key
// and position what cannot be honoured.
//
// It reads the Compose file and the env files that it names and does no other I/O.
package compose

// Package cli is tombolo's command line: one file a command, which turns flags into calls
// of the other packages and prints what they return. It decides nothing that a program
// without flags would have to decide too.
//
// Start reading at newRootCommand.
package cli

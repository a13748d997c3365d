// Package app turns a Compose file into an App: what is to run, how many times,
// and who may reach whom. compose-go does the parsing; this package maps, checks
// and refuses, by key and position, what cannot be honoured.
//
// It reads the Compose file and the env files that it names and does no other
// I/O. It imports nothing of ours.
package app

// Package localtest holds what tests of an embedded cluster need: a Docker
// without containers. It never starts a process.
package localtest

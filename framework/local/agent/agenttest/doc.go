// Package agenttest holds what tests of an agent need: a Docker without containers.
// It never starts a process.
package agenttest

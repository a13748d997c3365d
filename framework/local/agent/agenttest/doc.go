// Package agenttest has a Docker without containers, for tests of agents and clusters. It
// never starts a process.
package agenttest

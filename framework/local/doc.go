// Package local is the contract between the two halves of the embedded cluster: the
// messages that a master and its agents send each other.
//
//	          Registration, TaskUpdate, Departure
//	agent ──────────────────────────────────────────▶ master
//	      ◀──────────────────────────────────────────
//	      Registered, Launch, Kill, Shutdown, Acknowledge
//
// Sending never blocks and never fails, and the messages of one sender arrive in
// order. Messages are values: neither side changes one after it was sent.
//
// Each half has one goroutine that owns its state. The master is
// framework/local/master, the agent framework/local/agent, and framework/local/cluster
// runs both in one process. This package imports none of them.
package local

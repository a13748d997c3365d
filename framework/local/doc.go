// Package local is the contract between the two halves of the embedded cluster: the
// messages that a master and its agents send each other. Both are actors: each has
// one goroutine that owns its state.
//
//	         Registration, TaskUpdate, Departure
//	agent ────────────────────────────────────────▶ master
//	      ◀────────────────────────────────────────
//	Registered, Launch, Kill, Shutdown, Acknowledge
//
// Sending never blocks and never fails; messages of one sender arrive in order.
// Messages are values: neither side changes one after it was sent.
//
// The master is framework/local/master, the agent framework/local/agent;
// framework/local/cluster runs both in one process.
package local

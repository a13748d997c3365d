// Package explain says why one container can or cannot reach another. Walk goes the way of a
// packet step by step: name, target, permission, hosts, route, neighbour, tunnel, listener,
// connection. It names the first step that fails, and what to do.
//
// It does no I/O. `tombolo explain` gathers the Facts from the linkers of both hosts, and says
// which of them it could not ask: a step without facts is unknown, and does not fail.
//
// Start reading at Walk; find.go turns what people call a container into endpoints.
package explain

// Package place decides which host an instance goes to, and says of every host
// that is refused why.
//
// It is pure: no I/O, no clock, no memory between calls, and equal input gives
// equal output. It owns the rules (volumes stay where they are, constraints, host
// ports are exclusive, resources fit, instances spread); what is wanted and what
// then happens to an assignment is not its business.
package place

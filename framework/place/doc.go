// Package place decides which host an instance goes to, and says for every other host
// why it cannot have the instance. Start reading at Place.
//
// It owns the rules: an instance stays with its volumes, constraints hold, a host port
// has one holder, resources suffice, and instances spread over the hosts. It does not
// decide which instances are wanted (package deploy), and launches nothing.
//
// It is pure: no I/O, no clock, no memory between calls; equal input gives equal output.
package place

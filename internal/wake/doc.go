// Package wake has the few ways in which one goroutine tells another that there is
// work: a Signal for one receiver, a Broadcast for any number, a Queue that carries
// values, and pauses between attempts that end early when the context does.
//
// It knows nothing of what the work is.
package wake

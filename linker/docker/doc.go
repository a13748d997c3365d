// Package docker watches an Engine: which containers it runs, what they are, how
// healthy, and which endpoint of our network each of them has.
//
// It is eyes only, but for one network that it makes where it is missing. It never
// runs in a plugin call (Docker holds locks and waits there), never inspects a
// container before its start event (which blocks until the process runs), and
// imports nothing of ours.
package docker

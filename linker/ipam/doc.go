// Package ipam hands out the addresses of this host's block, IPv4 and IPv6 in
// step, and remembers across restarts which are held.
//
// It never talks to other hosts: which block is this host's is decided by the
// linker. It imports linker/state alone.
package ipam

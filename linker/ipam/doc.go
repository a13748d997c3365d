// Package ipam hands out the addresses of this host's block, IPv4 and IPv6 together, and
// remembers across restarts which ones are held.
//
// It never talks to other hosts and does not choose the block: linker/block does. Start
// reading at Allocator.
package ipam

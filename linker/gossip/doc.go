// Package gossip spreads packets among the linkers of a cluster and watches who
// is there, on top of hashicorp/memberlist.
//
// It never knows what a packet holds: a Delegate merges packets, describes what
// it holds by a digest, and says which packets a digest lacks. It never persists
// anything, and it never decides what a dead member means.
package gossip

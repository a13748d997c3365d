// Package gossip spreads packets among the linkers of a cluster and tells which of
// them are alive, on top of hashicorp/memberlist.
//
// It owns the sockets, failure detection, the repair of what packets lost, and the
// attempts to reach members that are gone. It never looks into a packet: a Delegate
// merges packets, describes by a digest what it holds, and finds the packets that
// the holder of another digest lacks. It stores nothing, and it does not decide what
// follows from the death of a member.
//
// Start with Gossip and the diagram above it.
package gossip

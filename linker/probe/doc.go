// Package probe finds out what really passes between this host and its peers through the
// overlay. That gossip is alive proves nothing about it: VXLAN has a port of its own, which a
// firewall may block in one direction or for large packets only.
//
// A round tests the direction from this host to one peer. This host sends some datagrams of
// different sizes, the shots, from its own overlay address to that of the peer, through the
// tunnel. At the same time it tells the peer by gossip, on the underlay, what it has sent. The
// peer answers by gossip which shots have arrived. So both hosts know what passes in this
// direction, also if nothing passes in the other one. The peer tests the other direction in the
// same way.
//
//	this host                                             peer
//	   |--- shots: 100 bytes, full size, ... (tunnel) ----->|
//	   |--- query: round 7 had shots of these sizes ------->|  waits 1 s for those that miss
//	   |<-- answer: of round 7, these have arrived ---------|
//
// Shots carry the IP flag "don't fragment" and are as large as the VXLAN device permits. If small
// ones pass and full-sized ones do not, further rounds search for the largest size that passes:
// the MTU of the path.
//
// Nothing is concluded from one round. A direction counts as broken after several rounds in a
// row, and only if the peer has answered each: it was alive, listened, and knew this host. A
// peer that is stopped, restarts or starves for CPU time does not answer, or says that it cannot
// tell. Peers that gossip takes for dead are not probed at all.
//
// # Traffic
//
// This host begins at most four rounds a second, however many peers there are. A round takes
// about 1.8 KB in the tunnel and 0.4 KB of gossip, so a host sends at most 10 KB/s, and gets as
// much. Up to 20 peers are probed every 5 s. Where there are more, those whose containers have
// to do with local ones come first: of 1,000 peers, 40 such peers are probed at least every 25 s and the
// others every 14 minutes.
//
// The port of the shots is the number of the gossip port, at the overlay address, so that
// nobody has to open another. Containers reach it nowhere: the overlay blocks the number for
// containers, and takes packets for a host's overlay address from hosts only.
//
// Start reading at Prober.Run; path.go has the conclusions, which need no network.
package probe

// Package overlay is the declarative data plane of one host: Set makes the
// kernel's VXLAN device, routes, neighbours, forwarding entries, nftables policy,
// published ports and egress match a Config; repeats are harmless. Attach and
// Detach make and remove one container's interface. Run mends what others break, and
// gives IPv6 to containers whose interface Docker has set up.
//
// It knows addresses and interfaces, never apps, services or gossip, and of
// ours it imports internal/wake alone.
//
// What a packet passes (table.nft.tmpl has the rules):
//
//	container - tb<hash> - source - route - forward - tombolo0 - underlay
//	                       who sent it?     may it?    on the receiver's host
//
// What is ours in the kernel, and is removed by Clear: the device tombolo0, veths
// named tb and twelve hexadecimal digits, routes of protocol 84, the nft table
// inet tombolo, and four rules in iptables' DOCKER-USER where that chain exists.
// No other interface of the host may have a name that starts with tb.
//
// What is not done here: a foreign firewall that drops INPUT (UFW, firewalld) has
// to accept the VXLAN port from the members, the gossip port, and udp and tcp 53
// from tb+; one that drops FORWARD and is not Docker's has to accept tb+ and
// tombolo0. VXLAN carries no proof of who sent it: members trust the underlay,
// and the processes on members' hosts.
package overlay

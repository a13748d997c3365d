// Package overlay is the data plane of one host. It configures the kernel so that the
// containers of this host and of all other hosts reach each other, as far as policy
// allows it.
//
// # How it works
//
// Every host owns a block of the pool of addresses. A container gets an IPv4 address of
// its host's block as a /32, and an IPv6 address as a /128, on one end of a veth pair.
// The other end stays on the host, on no bridge: the host routes each address to its veth.
// The container's default route leads to Gateway4 or Gateway6. These are addresses of the
// host, so no proxy ARP or NDP is needed.
//
// Between hosts there is one VXLAN device, tombolo0. The kernel needs three entries for each
// peer: a route to the peer's block by way of its overlay address, a neighbour entry with the
// MAC address of that overlay address, and a forwarding entry with the underlay address behind
// that MAC address, as in flannel's VXLAN backend. All three follow from the Config, so the
// device learns nothing and broadcasts nothing, and their number grows with the hosts, not with
// the containers.
//
// Every packet passes the netfilter hooks of the host. One nft table, inet tombolo, holds the
// packet policy, published ports and egress (table.nft.tmpl):
//
//	container - tb<hash> - source - route - forward - tombolo0 - underlay
//	                       |                |
//	                       |                may the sender reach the receiver?
//	                       |                (decided on the receiver's host)
//	                       does the source address belong to this interface?
//
// Our interfaces transmit only packets that the table has marked, and what arrives there is
// dropped unless a chain of the table netdev tombolo passes it on. So nothing passes while
// another program has removed the tables (guard_linux.go, gate_linux.go).
//
// Policy can trust addresses because of the first question: a container can send only from
// the addresses that are bound to its own interface.
//
// A service address stands for containers on any host. The nft table translates it where a
// connection starts, before the packet is routed, and leaves the source as it is: what the
// other hosts see is a packet from one container to another.
//
// # What the caller does
//
// Set makes the kernel match a Config. It changes only what differs, so repeating it, also
// from a new process, interrupts no connection. Attach and Detach create and remove the
// interface of one container without waiting for the next Set. Run repeats Set when other
// tools change nftables, puts right what they change in interfaces, addresses, neighbours, routes
// and sysctls (match_linux.go, watch_linux.go), and enters containers once Docker has moved their interface: it
// gives them IPv6, and leads queries to Docker's own resolver (127.0.0.11) to the DNS server on
// Gateway4. Clear removes everything.
//
// # What it owns
//
// The device tombolo0, veths whose names are tb and twelve hexadecimal digits, routes of
// protocol 84, the nft tables inet tombolo and netdev tombolo, and rules in the host's own firewall (package firewall). No other interface of the host may have a name that starts with tb. It also
// switches on forwarding, which stays on.
//
// # What it never does
//
// It knows addresses and interfaces, never apps, services or gossip. Of ours it imports
// internal/wake and overlay/firewall alone. It does not encrypt, and VXLAN carries no proof of its sender: members trust the underlay and the
// processes on the members' hosts.
//
// Start reading at Config, then Set, then table.nft.tmpl.
package overlay

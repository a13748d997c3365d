// Package overlay is the declarative data plane of one host: Set makes the
// kernel's VXLAN device, routes, neighbours, forwarding entries, nftables policy,
// published ports and egress match a Config; repeats are harmless. Attach and
// Detach make and remove one container's interface.
//
// It knows addresses and interfaces, never apps, services or gossip, and imports
// nothing of ours.
package overlay

package overlay

import (
	"net"
	"net/netip"
)

// Gateway4 and Gateway6 are the link-local next hops of every container: plain
// addresses of the host, so that no proxy ARP or NDP is needed.
var (
	Gateway4 = netip.MustParseAddr("169.254.1.1")
	Gateway6 = netip.MustParseAddr("fe80::1")
)

// Config is the wanted state of the data plane of one host.
type Config struct {
	Self      Peer         // this host
	Pool4     netip.Prefix // the overlay's whole IPv4 range
	Pool6     netip.Prefix // unset: no IPv6
	VNI       int          // VXLAN network identifier
	Port      uint16       // VXLAN's UDP port
	Peers     []Peer       // every other host
	Endpoints []Endpoint   // this host's containers
	Allow     []Allow      // what those containers may receive from other containers
	Publish   []Publish    // ports of this host that lead to local or remote endpoints
	Blocked   []HostPort   // ports of this host and of its peers that containers may not reach
	DNSPort   uint16       // where Gateway4's DNS listens when something else holds 53; 0 is 53
}

// Peer is a host as the data plane sees it.
type Peer struct {
	Name     string
	Underlay netip.Addr
	Block4   netip.Prefix
	Block6   netip.Prefix
	Overlay4 netip.Addr
	Overlay6 netip.Addr
	MAC      net.HardwareAddr // of the peer's VXLAN device
}

// Endpoint is a local container's interface.
type Endpoint struct {
	ID       string // libnetwork's endpoint ID; the veth's name derives from it
	Addr4    netip.Addr
	Addr6    netip.Addr // given to the container by Run, once Docker has set its side up
	Sandbox  string     // path of the container's network namespace; "" where it has its IPv6 already
	Internal bool       // no egress beyond the pool
}

// Allow lets From reach a local endpoint's address To. No Ports means every port
// and protocol.
type Allow struct {
	From  netip.Addr
	To    netip.Addr
	Ports []HostPort
}

// HostPort is a port and its protocol ("tcp", "udp" or "sctp").
type HostPort struct {
	Port  uint16
	Proto string
}

// Publish leads HostIP:HostPort (every address of the host when HostIP is unset)
// to To:Port. Several of one host port share it: each new connection goes to one
// of their targets, drawn at random, and stays there.
type Publish struct {
	HostIP   netip.Addr
	HostPort uint16
	Proto    string
	To       netip.Addr
	Port     uint16
}

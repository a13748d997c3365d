package overlay

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// Gateway4 and Gateway6 are the link-local next hops of every container. They are addresses
// of the host, so that no proxy ARP or NDP is needed.
var (
	Gateway4 = netip.MustParseAddr("169.254.1.1")
	Gateway6 = netip.MustParseAddr("fe80::1")
)

// MinMTU is the smallest MTU of a path to a peer, in bytes. Every IPv4 host takes packets of
// 576 bytes (RFC 791), and VXLAN needs 50 of them.
const MinMTU = 576 - 50

// Config is the data plane that one host should have.
type Config struct {
	Self      Peer         // this host
	Pool4     netip.Prefix // the IPv4 addresses of all hosts' blocks
	Pool6     netip.Prefix // the IPv6 addresses of all hosts' blocks; the zero value means no IPv6
	VNI       int          // VXLAN network identifier, 1 to 2^24-1
	Port      uint16       // UDP port of VXLAN
	Peers     []Peer       // every other host
	Endpoints []Endpoint   // this host's containers
	Internal  []netip.Addr // other hosts' containers that may not use this host's published ports, see Endpoint.Internal
	Suspended []netip.Addr // containers of hosts that are thought dead: new connections to them are refused, established ones go on
	// Superseded are containers of such hosts in whose place others run: connections to them are reset.
	Superseded []netip.Addr
	Groups     []Group      // the traffic that this host's containers may receive from other containers
	Publish    []Publish    // ports of this host that lead to containers here or elsewhere
	Blocked    []HostPort   // ports that containers may not reach outside of the pool, on any machine
	Peering    []HostPort   // ports of this host that the peers use, beside Port: the host's own firewall has to let the peers in
	Revoked    []Revocation // permissions that were taken back lately
	DNSPort    uint16       // port of the DNS server on Gateway4, if another program holds 53; zero means 53

	ServicePool4 netip.Prefix // the range of this host's IPv4 service addresses; the zero value means none
	ServicePool6 netip.Prefix // the same for IPv6
	Services     []Service    // the service addresses that are in use
}

// Peer is a host. An unset block or address means that nothing leads there.
type Peer struct {
	ID       string // the identity of the host (record.Host.Key); the overlay does not use it
	Name     string
	Underlay netip.Addr // where the host receives VXLAN
	Block4   netip.Prefix
	Block6   netip.Prefix
	Overlay4 netip.Addr       // the host's own address in its block
	Overlay6 netip.Addr       // the same for IPv6
	MAC      net.HardwareAddr // of the host's VXLAN device
	MTU      int              // bytes of the largest IP packet that reaches the host; 0: what this host's VXLAN device carries
	// Addresses are the host's other addresses, which containers of Docker's own networks do not
	// reach at the ports of Config.Blocked. Those that several hosts have are ignored.
	Addresses []netip.Addr
}

// Endpoint is the interface of a container of this host.
type Endpoint struct {
	ID       string     // libnetwork's endpoint ID; the veth's name derives from it
	Addr4    netip.Addr // required
	Addr6    netip.Addr // the zero value means no IPv6
	Sandbox  string     // path of the container's network namespace, which Run equips (IPv6, resolver); "" means that Run does not
	Internal bool       // the container has no egress beyond the pool
}

// HostPort is a port and its protocol: "tcp", "udp" or "sctp".
type HostPort struct {
	Port  uint16
	Proto string
}

// Publish leads connections to HostIP:HostPort on to To:Port. The zero HostIP means every
// address of the host. When several share a host port, each new connection goes to one
// target at random and stays there. With the zero To the port has no target: connections to
// it are refused. So are those of an address family in which it has none. Only ::1 is left to
// the socket that listens there.
type Publish struct {
	HostIP   netip.Addr
	HostPort uint16
	Proto    string
	To       netip.Addr
	Port     uint16
}

// Service leads each new connection, flow or echo request that this host or one of its
// containers sends to Addr on to one of Targets, evenly and without a change of the port or
// of the sender's address. A service with two address families has two.
type Service struct {
	Addr    netip.Addr   // in ServicePool4 or ServicePool6; valid on this host only
	Targets []netip.Addr // containers on any host; none: connections are refused at once
}

// Validate reports every problem that would keep Set from working.
func (c Config) Validate() error {
	var problems []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			problems = append(problems, fmt.Errorf("overlay config: "+format, args...))
		}
	}
	wrong(!c.Pool4.IsValid() || !c.Pool4.Addr().Is4(), "no IPv4 pool")
	wrong(!within(c.Self.Block4, c.Pool4), "block %s is not in pool %s", c.Self.Block4, c.Pool4)
	wrong(!c.Self.Overlay4.IsValid() || !c.Self.Block4.Contains(c.Self.Overlay4), "own address %s is not in block %s", c.Self.Overlay4, c.Self.Block4)
	if c.Pool6.IsValid() {
		wrong(!within(c.Self.Block6, c.Pool6), "block %s is not in pool %s", c.Self.Block6, c.Pool6)
		wrong(!c.Self.Overlay6.IsValid() || !c.Self.Block6.Contains(c.Self.Overlay6), "own address %s is not in block %s", c.Self.Overlay6, c.Self.Block6)
	}
	for _, p := range c.Peers { // a block outside of the pool would capture this host's other traffic
		wrong(p.Block4.IsValid() && !within(p.Block4, c.Pool4), "block %s of %s is not in pool %s", p.Block4, p.Name, c.Pool4)
		wrong(p.MTU != 0 && p.MTU < MinMTU, "MTU %d of %s is less than %d", p.MTU, p.Name, MinMTU)
		wrong(c.Pool6.IsValid() && p.Block6.IsValid() && !within(p.Block6, c.Pool6), "block %s of %s is not in pool %s", p.Block6, p.Name, c.Pool6)
	}
	for _, svc := range c.Services { // outside of the ranges, another program's packets would be translated
		wrong(!c.ServicePool4.Contains(svc.Addr) && !c.ServicePool6.Contains(svc.Addr), "service address %s is in neither %s nor %s", svc.Addr, c.ServicePool4, c.ServicePool6)
	}
	wrong(c.ServicePool4.IsValid() && !c.ServicePool4.Addr().Is4(), "service range %s is not IPv4", c.ServicePool4)
	wrong(len(c.Self.MAC) != 6, "no MAC address for %s", Device)
	wrong(c.VNI <= 0 || c.VNI >= 1<<24, "VNI %d is out of range", c.VNI)
	wrong(c.Port == 0, "no VXLAN port")
	return errors.Join(problems...)
}

// within reports whether block is part of pool.
func within(block, pool netip.Prefix) bool {
	return block.IsValid() && pool.Bits() <= block.Bits() && pool.Contains(block.Addr())
}

// unmapped returns a copy of c in which IPv4-mapped IPv6 addresses, which net.IP often
// yields, are plain IPv4: the kernel's tables keep the families apart.
func (c Config) unmapped() Config {
	unmap := func(addrs ...*netip.Addr) {
		for _, a := range addrs {
			*a = a.Unmap()
		}
	}
	unmap(&c.Self.Underlay, &c.Self.Overlay4)
	c.Peers, c.Endpoints = slices.Clone(c.Peers), slices.Clone(c.Endpoints)
	c.Groups = slices.Clone(c.Groups)
	for i := range c.Groups {
		c.Groups[i].From, c.Groups[i].To = slices.Clone(c.Groups[i].From), slices.Clone(c.Groups[i].To)
		for _, list := range [][]netip.Addr{c.Groups[i].From, c.Groups[i].To} {
			for n := range list {
				unmap(&list[n])
			}
		}
	}
	c.Publish, c.Revoked = slices.Clone(c.Publish), slices.Clone(c.Revoked)
	for _, list := range []*[]netip.Addr{&c.Internal, &c.Suspended, &c.Superseded} {
		*list = slices.Clone(*list)
		for i := range *list {
			unmap(&(*list)[i])
		}
	}
	for i := range c.Peers {
		unmap(&c.Peers[i].Underlay, &c.Peers[i].Overlay4)
	}
	for i := range c.Endpoints {
		unmap(&c.Endpoints[i].Addr4)
	}
	for i := range c.Revoked {
		unmap(&c.Revoked[i].From, &c.Revoked[i].To)
	}
	for i := range c.Publish {
		unmap(&c.Publish[i].HostIP, &c.Publish[i].To)
	}
	c.Services = slices.Clone(c.Services)
	for i := range c.Services {
		c.Services[i].Targets = slices.Clone(c.Services[i].Targets)
		unmap(&c.Services[i].Addr)
		for j := range c.Services[i].Targets {
			unmap(&c.Services[i].Targets[j])
		}
	}
	return c
}

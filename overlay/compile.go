package overlay

import "net/netip"

// compile turns a Config, and the names of the host's bridges that lead to the outside,
// into the nft table. It is pure, and the order of the Config's slices does not matter.
func compile(c Config, outside ...string) ruleset {
	r := ruleset{params: paramsOf(c), sets: contents{}}
	for _, name := range outside {
		r.sets.add("outside", ifnameField(name), "")
	}
	for _, e := range c.Endpoints {
		r.sets.bind(e)
	}
	for _, addr := range c.Internal {
		r.sets.addAddr("internal", addr)
	}
	for _, addr := range c.Suspended {
		r.sets.addAddr("suspended", addr)
	}
	for _, addr := range c.Superseded {
		r.sets.addAddr("superseded", addr)
	}
	for _, p := range c.Peers {
		r.sets.addAddr("members", p.Underlay)
		r.sets.addAddr("hosts", p.Overlay4)
		r.sets.addAddr("hosts", p.Overlay6)
	}
	for _, addr := range c.othersAddresses() {
		r.sets.addAddr("others", addr)
	}
	r.sets.permit(c.Groups)
	for _, revoked := range c.Revoked {
		r.sets.revoke(revoked)
	}
	// A container that could send VXLAN to a member would look like a host to it.
	for _, b := range append([]HostPort{{c.Port, "udp"}}, c.Blocked...) {
		if protoNumbers[b.Proto] != 0 {
			r.sets.add("blocked", protoField(b.Proto)+portField(b.Port), "")
		}
	}
	for _, p := range c.Peering {
		if protoNumbers[p.Proto] != 0 {
			r.sets.add("peering", protoField(p.Proto)+portField(p.Port), "")
		}
	}
	r.sets.publish(c.Publish)
	r.sets.serve(c.Services)
	return r
}

// othersAddresses returns the addresses of the peers that name one machine: no other peer has
// announced them, and they are neither in the pools nor special. An address such as that of a
// bridge is the same on many hosts, and must not close a port of something else.
func (c Config) othersAddresses() (out []netip.Addr) {
	owners := map[netip.Addr]int{c.Self.Underlay: 1}
	for _, addr := range c.Self.Addresses {
		owners[addr]++
	}
	for _, p := range c.Peers {
		for _, addr := range p.Addresses {
			owners[addr]++
		}
	}
	for _, p := range c.Peers {
		for _, addr := range p.Addresses {
			if owners[addr] == 1 && addr.IsGlobalUnicast() && !c.Pool4.Contains(addr) && !c.Pool6.Contains(addr) {
				out = append(out, addr)
			}
		}
	}
	return out
}

func paramsOf(c Config) tableParams {
	p := tableParams{
		Device: Device, Gateway4: Gateway4.String(), Port: c.Port, Pool4: c.Pool4.Masked().String(),
		Block4: c.Self.Block4.Masked().String(), Overlay4: c.Self.Overlay4.String(),
	}
	if c.Self.Underlay.Is4() {
		p.Underlay4 = c.Self.Underlay.String()
	} else if c.Self.Underlay.IsValid() {
		p.Underlay6 = c.Self.Underlay.String()
	}
	if c.DNSPort != 53 {
		p.DNSPort = c.DNSPort
	}
	if c.Pool6.IsValid() {
		p.Pool6, p.Block6, p.Overlay6 = c.Pool6.Masked().String(), c.Self.Block6.Masked().String(), c.Self.Overlay6.String()
	}
	if c.ServicePool4.IsValid() {
		p.Service4 = c.ServicePool4.Masked().String()
	}
	if c.ServicePool6.IsValid() {
		p.Service6 = c.ServicePool6.Masked().String()
	}
	return p
}

// bind adds the elements that let the endpoint send, from its own addresses only.
func (c contents) bind(e Endpoint) {
	name := ifnameField(HostSide(e.ID))
	for _, addr := range []netip.Addr{e.Addr4, e.Addr6} {
		if !addr.IsValid() {
			continue
		}
		c.add(family("bound", addr), name+addrField(addr), "")
		if e.Internal {
			c.addAddr("internal", addr)
		}
	}
}

func (c contents) addAddr(set string, addr netip.Addr) {
	if addr.IsValid() {
		c.add(family(set, addr), addrField(addr), "")
	}
}

// family returns the name of the set for addr's address family.
func family(set string, addr netip.Addr) string {
	if addr.Is4() {
		return set + "4"
	}
	return set + "6"
}

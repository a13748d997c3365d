package firewall

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Config says which packets the host's firewall has to let pass.
type Config struct {
	Mark     uint32       // the bit that the policy sets in the marks of packets that it accepts
	Priority int          // of the policy's chains; chains with this priority or a lower one see no mark
	Table    string       // name of the policy's own table, which is left alone
	Veths    string       // prefix of the interfaces of containers
	Device   string       // the interface that leads to the other hosts
	Pool4    netip.Prefix // the containers' addresses
	Pool6    netip.Prefix // the zero value means no IPv6
	Tunnel   uint16       // UDP port of VXLAN
	Peering  []Port       // other ports at which the hosts talk to each other
	Peers    []netip.Addr // the other hosts' underlay addresses
	DNSPort  uint16       // port at which containers ask for names
}

// Port is a port and its protocol, "tcp" or "udp".
type Port struct {
	Number uint16
	Proto  string
}

// hook is one of the kernel's hooks, by nftables' name.
type hook string

const (
	input   hook = "input"
	forward hook = "forward"
	output  hook = "output"
)

// chainNames are iptables' names of the base chains.
var chainNames = map[hook]string{input: "INPUT", forward: "FORWARD", output: "OUTPUT"}

const dockerUser = "DOCKER-USER"

// accept is a rule that accepts packets with the mark. Every condition that is set has to hold.
type accept struct {
	in, out string // interface; a final "+" stands for any continuation
	port    Port   // to this port
	replies bool   // from this port instead
	to      netip.Prefix
}

// accepts returns the rules for a hook: those that have to come before every rule that drops
// something, and those that come before the first rule that drops everything. Family is 4 or
// 6, or 0 for both.
func (c Config) accepts(h hook, family int) (first, late []accept) {
	veths := c.Veths + "+"
	ports := []accept{{port: Port{c.Tunnel, "udp"}}}
	for _, p := range c.Peering {
		ports = append(ports, accept{port: p}, accept{port: p, replies: true})
	}
	switch h {
	case input:
		return append([]accept{{in: veths}, {in: c.Device}}, ports...), nil
	case output:
		first = []accept{{out: veths}, {out: c.Device}}
		for _, pool := range []netip.Prefix{c.Pool4, c.Pool6} { // published ports are translated, but not routed anew yet
			if pool.IsValid() && (family == 0 || (family == 4) == pool.Addr().Is4()) {
				first = append(first, accept{to: pool.Masked()})
			}
		}
		return append(first, ports...), nil
	default: // forward
		return []accept{{in: veths, out: veths}, {in: veths, out: c.Device}, {in: c.Device, out: veths}},
			[]accept{{in: veths}, {out: veths}, {in: c.Device}, {out: c.Device}}
	}
}

// comment stands in every rule of ours.
const comment = "tombolo"

// xtables returns the rule as `iptables -S` prints it.
func (a accept) xtables(mark uint32) string {
	var b strings.Builder
	if a.to.IsValid() {
		fmt.Fprintf(&b, "-d %s ", a.to)
	}
	if a.in != "" {
		fmt.Fprintf(&b, "-i %s ", a.in)
	}
	if a.out != "" {
		fmt.Fprintf(&b, "-o %s ", a.out)
	}
	if a.port.Proto != "" {
		fmt.Fprintf(&b, "-p %s -m %[1]s --%s %d ", a.port.Proto, a.portField(), a.port.Number)
	}
	fmt.Fprintf(&b, "-m mark --mark %#x/%#[1]x -m comment --comment %s -j ACCEPT", mark, comment)
	return b.String()
}

// nftables returns the rule as nft reads it. Its comment tells it from all others.
func (a accept) nftables(mark uint32) string {
	matches := a.matches()
	return fmt.Sprintf("%s meta mark & %#x == %#[2]x accept comment \"%s\"", matches, mark, a.comment())
}

func (a accept) matches() string {
	var parts []string
	if a.to.IsValid() {
		family := "ip"
		if a.to.Addr().Is6() {
			family = "ip6"
		}
		parts = append(parts, fmt.Sprintf("%s daddr %s", family, a.to))
	}
	if a.in != "" {
		parts = append(parts, fmt.Sprintf("iifname %q", wildcard(a.in)))
	}
	if a.out != "" {
		parts = append(parts, fmt.Sprintf("oifname %q", wildcard(a.out)))
	}
	if a.port.Proto != "" {
		parts = append(parts, fmt.Sprintf("%s %s %d", a.port.Proto, a.portField(), a.port.Number))
	}
	return strings.Join(parts, " ")
}

func (a accept) portField() string {
	if a.replies {
		return "sport"
	}
	return "dport"
}

func (a accept) comment() string { return comment + ": " + strings.ReplaceAll(a.matches(), `"`, "") }

// wildcard turns iptables' name for several interfaces into nftables'.
func wildcard(name string) string {
	if prefix, ok := strings.CutSuffix(name, "+"); ok {
		return prefix + "*"
	}
	return name
}

// obsolete are rules that earlier versions put into DOCKER-USER. They accepted everything.
func (c Config) obsolete() []string {
	var out []string
	for _, name := range []string{c.Veths + "+", c.Device} {
		out = append(out, "-i "+name+" -j ACCEPT", "-o "+name+" -j ACCEPT")
	}
	return out
}

// isOurs reports whether a rule that `iptables -S` has printed was made by this package or by an earlier version.
func (c Config) isOurs(rule string) bool {
	return strings.HasSuffix(rule, " --comment "+comment+" -j ACCEPT") || slices.Contains(c.obsolete(), rule)
}

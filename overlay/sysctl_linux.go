package overlay

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const sysctlDir = "/proc/sys/net/"

// sysctl is a setting below /proc/sys/net and its value.
type sysctl struct{ name, value string }

// String returns the setting as sysctl(8) writes it: "net.ipv4.ip_forward = 1".
func (s sysctl) String() string {
	return "net." + strings.ReplaceAll(s.name, "/", ".") + " = " + s.value
}

// addrGenNone keeps the kernel from giving a link-local address to an interface: nobody would
// answer there.
const addrGenNone = "1" // IN6_ADDR_GEN_MODE_NONE of linux/if_link.h

// setSysctl writes a value unless the setting has it already: a write to ip_forward, even of
// the same value, resets other settings.
func setSysctl(name, value string) error {
	_, err := sysctl{name, value}.set()
	return err
}

func (s sysctl) set() (changed bool, err error) {
	have, err := os.ReadFile(sysctlDir + s.name)
	if err == nil && strings.TrimSpace(string(have)) == s.value {
		return false, nil
	}
	if err == nil {
		err = os.WriteFile(sysctlDir+s.name, []byte(s.value), 0)
	}
	if err != nil {
		return false, fmt.Errorf("set net/%s to %s: %w", s.name, s.value, err)
	}
	return true, nil
}

// hostSysctls are the settings of the whole host that a Config needs: the host routes packets
// between its interfaces.
func hostSysctls(c Config) []sysctl {
	settings := []sysctl{{"ipv4/ip_forward", "1"}}
	if c.Pool6.IsValid() {
		settings = append(settings, sysctl{"ipv6/conf/all/forwarding", "1"})
	}
	return settings
}

// deviceSysctls are the settings of our interfaces that a Config needs.
func deviceSysctls(c Config) []sysctl {
	var settings []sysctl
	forwarding := func(name string, v6 bool) {
		settings = append(settings, sysctl{"ipv4/conf/" + name + "/forwarding", "1"}, unicastOnly(name))
		if v6 && c.Pool6.IsValid() {
			settings = append(settings, sysctl{"ipv6/conf/" + name + "/disable_ipv6", "0"}, sysctl{"ipv6/conf/" + name + "/addr_gen_mode", addrGenNone},
				sysctl{"ipv6/conf/" + name + "/drop_unicast_in_l2_multicast", "0"}) // see unicastOnly
		}
	}
	forwarding(Device, true)
	for _, e := range c.Endpoints {
		forwarding(HostSide(e.ID), e.Addr6.IsValid())
		settings = append(settings, arpFilter(HostSide(e.ID)))
	}
	return append(settings, loopbackRoutes(c)...)
}

// arpFilter lets the kernel answer ARP requests from the container's own address only. Each
// sender that is answered takes an entry in the neighbour table, which the whole machine
// shares and which is full at about a thousand entries.
func arpFilter(name string) sysctl { return sysctl{"ipv4/conf/" + name + "/arp_filter", "1"} }

// unicastOnly drops IPv4 packets for one address that still have the type that their gate gave
// them: chain source has not met them. For IPv6 the kernel would do so before it calls chain source.
func unicastOnly(name string) sysctl {
	return sysctl{"ipv4/conf/" + name + "/drop_unicast_in_l2_multicast", "1"}
}

// loopbackRoutes let connections to published ports of 127.0.0.1 leave by the devices of
// their targets. The nft table drops packets in the other direction (chain source_container).
func loopbackRoutes(c Config) []sysctl {
	at := map[netip.Addr]string{}
	for _, e := range c.Endpoints {
		at[e.Addr4] = HostSide(e.ID)
	}
	var settings []sysctl
	seen := map[string]bool{}
	for _, p := range c.Publish {
		if !p.To.Is4() || p.HostIP.IsValid() && !p.HostIP.IsUnspecified() && !p.HostIP.IsLoopback() {
			continue
		}
		name, local := at[p.To]
		if !local {
			name = Device
		}
		if !seen[name] {
			settings = append(settings, sysctl{"ipv4/conf/" + name + "/route_localnet", "1"})
		}
		seen[name] = true
	}
	return settings
}

// setHostSysctls makes the host forward packets.
func (m *match) setHostSysctls() error {
	if m.c.Pool6.IsValid() {
		if err := m.keepRouterAdvertisements(); err != nil {
			return err
		}
	}
	return m.setSysctls(hostSysctls(m.c))
}

// setSysctls does not mind settings of interfaces that do not exist: their containers start or
// end now.
func (m *match) setSysctls(settings []sysctl) error {
	var errs []error
	for _, s := range settings {
		changed, err := s.set()
		if changed {
			m.done.add(KindSysctl, s.String())
		}
		if !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// keepRouterAdvertisements sets accept_ra to 2 on interfaces whose routes the kernel has from
// advertisements. With 1, a host that forwards ignores advertisements and would lose its default
// route. With 0 the routes are those of a network manager, which reads advertisements itself.
func (m *match) keepRouterAdvertisements() error {
	routes, err := dumpRoutes(netlink.FAMILY_V6, netlink.Route{Protocol: unix.RTPROT_RA}, netlink.RT_FILTER_PROTOCOL)
	if err != nil {
		return fmt.Errorf("list advertised routes: %w", err)
	}
	for _, r := range routes {
		name := deviceName(r.LinkIndex)
		if name != "" && !slices.Contains(m.advertised, name) { // "": the interface was removed meanwhile
			m.advertised = append(m.advertised, name)
		}
	}
	return m.setSysctls(m.acceptAdvertisements())
}

// acceptAdvertisements returns the settings of the interfaces in m.advertised that the kernel
// would ignore advertisements of.
func (m *match) acceptAdvertisements() []sysctl {
	var settings []sysctl
	for _, name := range m.advertised {
		setting := sysctl{"ipv6/conf/" + name + "/accept_ra", "2"}
		if value, err := os.ReadFile(sysctlDir + setting.name); err == nil && strings.TrimSpace(string(value)) == "1" {
			settings = append(settings, setting)
		}
	}
	return settings
}

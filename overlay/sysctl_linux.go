package overlay

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const sysctlDir = "/proc/sys/net/"

// setSysctl writes a value unless the setting has it already: a write to ip_forward, even of
// the same value, resets other settings.
func setSysctl(name, value string) error {
	have, err := os.ReadFile(sysctlDir + name)
	if err == nil && strings.TrimSpace(string(have)) == value {
		return nil
	}
	if err == nil {
		err = os.WriteFile(sysctlDir+name, []byte(value), 0)
	}
	if err != nil {
		return fmt.Errorf("set net/%s to %s: %w", name, value, err)
	}
	return nil
}

// enableForwarding lets the host route packets between its interfaces.
func enableForwarding(v6 bool) error {
	if err := setSysctl("ipv4/ip_forward", "1"); err != nil || !v6 {
		return err
	}
	if err := keepRouterAdvertisements(); err != nil {
		return err
	}
	return setSysctl("ipv6/conf/all/forwarding", "1")
}

// keepRouterAdvertisements sets accept_ra to 2 on interfaces with advertised routes. With any
// other value a host that forwards ignores advertisements and would lose its default route.
func keepRouterAdvertisements() error {
	if have, err := os.ReadFile(sysctlDir + "ipv6/conf/all/forwarding"); err != nil || strings.TrimSpace(string(have)) != "0" {
		return err
	}
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_V6, &netlink.Route{Protocol: unix.RTPROT_RA}, netlink.RT_FILTER_PROTOCOL)
	if err != nil {
		return fmt.Errorf("list advertised routes: %w", err)
	}
	for _, r := range routes {
		link, err := netlink.LinkByIndex(r.LinkIndex)
		if err != nil {
			continue // the interface was removed meanwhile
		}
		err = setSysctl(filepath.Join("ipv6/conf", link.Attrs().Name, "accept_ra"), "2")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// setLoopbackRoutes lets connections to published ports of 127.0.0.1 leave by the devices of
// their targets. The nft table drops packets in the other direction (chain source_container).
func setLoopbackRoutes(c Config, device netlink.Link, found veths) error {
	at := map[netip.Addr]string{}
	for _, e := range c.Endpoints {
		if found[HostSide(e.ID)] != nil {
			at[e.Addr4] = HostSide(e.ID)
		}
	}
	names := map[string]bool{}
	for _, p := range c.Publish {
		if !p.To.Is4() || p.HostIP.IsValid() && !p.HostIP.IsUnspecified() && !p.HostIP.IsLoopback() {
			continue
		}
		name, local := at[p.To]
		if !local {
			name = device.Attrs().Name
		}
		names[name] = true
	}
	var errs []error
	for name := range names {
		errs = append(errs, setSysctl("ipv4/conf/"+name+"/route_localnet", "1"))
	}
	return errors.Join(errs...)
}

package overlay

import (
	"errors"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// setLoopbackRoutes lets connections to published ports of 127.0.0.1 leave by the
// devices of their targets. The way back in is shut by the table's raw rules.
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

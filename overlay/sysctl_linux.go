package overlay

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const sysctlDir = "/proc/sys/net/"

// setSysctl writes a value unless it stands: writing ip_forward, even the same,
// would reset other settings.
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

// enableForwarding makes the host a router.
func enableForwarding(v6 bool) error {
	if err := setSysctl("ipv4/ip_forward", "1"); err != nil || !v6 {
		return err
	}
	if err := keepRouterAdvertisements(); err != nil {
		return err
	}
	return setSysctl("ipv6/conf/all/forwarding", "1")
}

// keepRouterAdvertisements: a router ignores advertisements unless accept_ra is
// 2, so a host that got its default route from one would lose it.
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
			continue // gone
		}
		err = setSysctl(filepath.Join("ipv6/conf", link.Attrs().Name, "accept_ra"), "2")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

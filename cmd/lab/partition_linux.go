package lab

import (
	"fmt"

	"github.com/vishvananda/netlink"
)

// Partition cuts a host off the underlay, as if its cable were pulled.
func (l *Lab) Partition(name string) error { return l.setCable(name, netlink.LinkSetDown) }

// Heal connects a host to the underlay again.
func (l *Lab) Heal(name string) error { return l.setCable(name, netlink.LinkSetUp) }

func (l *Lab) setCable(name string, set func(netlink.Link) error) error {
	h, err := l.Host(name)
	if err != nil {
		return err
	}
	if !h.Alive() {
		return fmt.Errorf("host %s is dead and has no network (start it with: tombolo lab start %[1]s)", name)
	}
	return InUnderlay(func() error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("find the cable of %s: %w", name, err)
		}
		return set(link)
	})
}

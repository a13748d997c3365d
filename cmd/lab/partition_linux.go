package lab

import (
	"fmt"

	"github.com/vishvananda/netlink"
)

// Partition cuts host name from the underlay, as a pulled cable would.
func (l *Lab) Partition(name string) error { return l.cable(name, netlink.LinkSetDown) }

// Heal plugs host name in again.
func (l *Lab) Heal(name string) error { return l.cable(name, netlink.LinkSetUp) }

func (l *Lab) cable(name string, set func(netlink.Link) error) error {
	h, err := l.Host(name)
	if err != nil {
		return err
	}
	if !h.Alive() {
		return fmt.Errorf("host %s is dead, and has no cable (start it with: tombolo lab start %s)", name, name)
	}
	return InUnderlay(func() error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("find the cable of %s: %w", name, err)
		}
		return set(link)
	})
}

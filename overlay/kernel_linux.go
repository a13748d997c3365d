package overlay

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// CheckVXLAN reports an ErrNoVXLAN where the kernel cannot make VXLAN devices. It
// asks for one without attributes, which the kernel refuses otherwise than a kind
// that it does not know (rtnl_newlink), so none is made.
func CheckVXLAN() error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = Device
	err := netlink.LinkAdd(&netlink.GenericLink{LinkAttrs: attrs, LinkType: "vxlan"})
	if errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("%w (try: modprobe vxlan): %w", ErrNoVXLAN, err)
	}
	return nil // it is for Set to say what else may be wrong
}

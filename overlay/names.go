package overlay

import (
	"crypto/sha256"
	"encoding/hex"
	"net"
	"net/netip"
	"regexp"
)

// Device is the name of the VXLAN device, on every host.
const Device = "tombolo0"

// DefaultVNI and DefaultPort differ from those of Docker Swarm, so that both overlays can
// run on one host.
const (
	DefaultVNI  = 1980
	DefaultPort = 8480
)

// vethPrefix starts the name of the host's side of every container's veth pair. The nft
// table matches this prefix, so an interface that is not in the bound set can send nothing.
const vethPrefix = "tb"

var vethName = regexp.MustCompile(`^tb[0-9a-f]{12}$`)

// HostSide returns the name of the side of an endpoint's veth pair that stays on the host.
func HostSide(id string) string { return vethPrefix + hash(id) }

// ContainerSide returns the name of the side that moves into the container. Docker renames
// it there.
func ContainerSide(id string) string { return vethPrefix + "c" + hash(id) }

func hash(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:6])
}

// HardwareAddr returns the MAC address of the interface that holds an IPv4 overlay address.
// It is locally administered and derives from the address, so that peers know it without ARP.
func HardwareAddr(addr4 netip.Addr) net.HardwareAddr {
	a := addr4.As4()
	return net.HardwareAddr{0x02, 0x7b, a[0], a[1], a[2], a[3]}
}

// hostSideMAC returns the MAC address of the host's side of an endpoint's pair. A random one
// would not do: udev may replace that while the container uses it.
func hostSideMAC(addr4 netip.Addr) net.HardwareAddr {
	mac := HardwareAddr(addr4)
	mac[1] = 0x7d
	return mac
}

// passMark and firewallMark are bits of a packet's mark. Kubernetes, Calico, Cilium, Tailscale and
// Docker use other bits by default. The policy sets passMark in what it accepts and the host's own
// firewall has to let pass, and firewallMark in packets to the host about which that one decides.
const (
	passMark     = 0x2000
	firewallMark = 0x1000
)

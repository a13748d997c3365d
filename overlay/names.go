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

// DefaultVNI and DefaultPort are none of Swarm's.
const (
	DefaultVNI  = 1980
	DefaultPort = 8480
)

// vethPrefix starts the name of the host's side of every container's veth pair;
// the table's rules match on it, so an interface that is not yet, or no longer,
// in the bound set can send nothing.
const vethPrefix = "tb"

var vethName = regexp.MustCompile(`^tb[0-9a-f]{12}$`)

// HostSide and ContainerSide are the names of an endpoint's veth pair. Docker
// renames the container's side as it moves it into the sandbox.
func HostSide(id string) string { return vethPrefix + hash(id) }

// ContainerSide is the name of the side that moves into the container.
func ContainerSide(id string) string { return vethPrefix + "c" + hash(id) }

func hash(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:6])
}

// HardwareAddr is the deterministic, locally administered MAC address of the
// interface that holds an IPv4 overlay address: peers know it without asking.
func HardwareAddr(addr4 netip.Addr) net.HardwareAddr {
	a := addr4.As4()
	return net.HardwareAddr{0x02, 0x7b, a[0], a[1], a[2], a[3]}
}

// hostSideMAC belongs to the host's side of an endpoint's pair. It is set
// explicitly, or udev may replace a random one while the container uses it.
func hostSideMAC(addr4 netip.Addr) net.HardwareAddr {
	mac := HardwareAddr(addr4)
	mac[1] = 0x7d
	return mac
}

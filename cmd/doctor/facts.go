package doctor

import (
	"net/netip"

	"tombolo/linker/api"
)

// Facts are what was seen on a host. Texts of errors are empty where all is well.
type Facts struct {
	Host    string // its name
	Linker  *api.Status
	NoReply string // why there is no Linker

	Kernel  Kernel
	Pools   Pools
	Drops   []Drop // of the host's firewall; with a linker, it reports these itself
	Clock   Clock
	Disks   []Disk
	Network Network
	Docker  Docker
	Names   []Names // from containers' sides; at most a few
	Peers   []Peer
}

// Kernel is what the kernel can do and permits.
type Kernel struct {
	Release string
	VXLAN   string            // why it has no VXLAN
	Modules map[string]string // modules that are missing, with what needs them
	Sysctls map[string]string // value by name, with dots; without those that the kernel does not have
}

// Pools are the overlay's ranges, and what is in their way.
type Pools struct {
	Pool4     netip.Prefix
	Conflict  string // a route that overlaps; with a linker, it reports that itself
	Resolvers []netip.Addr
}

// Drop is a place in the host's firewall that drops packets of the overlay.
type Drop struct {
	Place  string // the chain; "": see Why
	Why    string
	Remedy string // "": that of the kind
	Pool   bool   // a rule that names addresses of the pool
}

// Clock is the state of the kernel's clock.
type Clock struct {
	Synchronised bool // by NTP, as adjtimex(2) says
}

// Disk is a file system that the host needs.
type Disk struct {
	Path       string
	Free, Size uint64 // bytes; Free: for root
	FreeInodes uint64
	Inodes     uint64 // 0: the file system has no fixed number
	ReadOnly   bool
}

// Network are the interfaces of the underlay and the overlay.
type Network struct {
	Underlay, Device       string // names; "": there is none
	UnderlayMTU, DeviceMTU int
}

// Docker is the Docker Engine and what it needs from the linker.
type Docker struct {
	Error   string // why it cannot be asked
	Version string
	Driver  string       // of the network "tombolo"; "": there is no such network
	Subnet  netip.Prefix // of that network: the overlay's pool
	Plugin  string       // why the linker's plugin socket does not answer
}

// Names is a look-up from inside of a container.
type Names struct {
	Container string
	Error     string // why there was no answer
}

// Peer is another host, as this host's linker sees it.
type Peer struct {
	Name, State string // State as in api.Peer
	Underlay    string
	MTU         int      // of its overlay; 0: unknown
	Troubles    []string // which it announces itself
}

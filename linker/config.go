package linker

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"tombolo/linker/gossip"
	"tombolo/linker/record"
	"tombolo/overlay"
)

// Driver is the name of the Docker network driver; its socket is named after it.
const Driver = "tombolo"

// Network is the name of the Docker network that the linker makes on its host.
const Network = "tombolo"

// BlockBits4 and BlockBits6 are the sizes of a host's block in the pools.
const (
	BlockBits4 = 24
	BlockBits6 = 80
)

// DefaultPool4 is the overlay's IPv4 range; VIPRange is the part of it that no
// host may claim, as each linker uses it for addresses of its own making.
var (
	DefaultPool4 = netip.MustParsePrefix("100.64.0.0/10")
	VIPRange     = netip.MustParsePrefix("100.127.0.0/16")
)

// Zone is the DNS zone of the names that a linker answers.
const Zone = "tombolo.internal"

// Config says who this host is and where things are. The zero Config works on one
// machine; withDefaults says what it stands for.
type Config struct {
	Version  string
	Host     string       // a DNS label, unique in the cluster; default: the machine's name
	Underlay netip.Addr   // what other hosts reach this one by; default: the address of the default route
	Join     []string     // addresses (host or host:port) of other hosts' gossip
	Pool4    netip.Prefix // default DefaultPool4
	Pool6    netip.Prefix // a /48 ULA, the same on every host; unset: no IPv6
	Block    netip.Prefix // claim this block of Pool4 and no other
	Docker   string       // the Engine; default unix:///var/run/docker.sock
	Keys     [][]byte     // of gossip, see gossip.Config

	// DNSFiles are the sockets of ListenDNS, where somebody keeps them open. The
	// linker closes them. None: it opens its own.
	DNSFiles []*os.File

	StateDir   string // default /var/lib/tombolo/linker
	RunDir     string // holds the API's socket; default /run/tombolo
	PluginDir  string // where Docker looks for plugins; default /run/docker/plugins
	ResolvConf string // the file that containers mount; default /var/lib/tombolo/resolv.conf

	GossipPort uint16 // default 7980
	VXLANPort  uint16 // default 8480
	VNI        int    // default 1980

	JoinTimeout   time.Duration // how long the first host looks for others; default 10 s
	Settle        time.Duration // how long a claim of a block may be contested; default 1 s
	RestartWindow time.Duration // how long peers wait for a linker that stops; default 30 s

	Log *slog.Logger
}

// Validate reports every problem of a Config at once.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	if _, err := record.HostName(c.Host); err != nil {
		errs = append(errs, fmt.Errorf("host name: %w", err))
	}
	if !c.Underlay.IsValid() || c.Underlay.IsUnspecified() {
		errs = append(errs, errors.New("no underlay address: name one with --underlay"))
	}
	if !c.Pool4.Addr().Is4() || c.Pool4.Bits() > BlockBits4 || c.Pool4 != c.Pool4.Masked() {
		errs = append(errs, fmt.Errorf("pool %s: want an IPv4 range of at least a /%d", c.Pool4, BlockBits4))
	}
	if p := c.Pool6; p.IsValid() && (!p.Addr().Is6() || p.Bits() != 48 || p != p.Masked()) {
		errs = append(errs, fmt.Errorf("IPv6 pool %s: want a /48", p))
	}
	if b := c.Block; b.IsValid() && (b.Bits() != BlockBits4 || !c.Pool4.Overlaps(b) || b.Overlaps(VIPRange) || b != b.Masked()) {
		errs = append(errs, fmt.Errorf("block %s: want a /%d of %s outside %s", b, BlockBits4, c.Pool4, VIPRange))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("linker config: %w", err)
	}
	return nil
}

// APISocket is where the linker's API listens.
func (c Config) APISocket() string { return filepath.Join(c.withDefaults().RunDir, "linker.sock") }

func (c Config) withDefaults() Config {
	set(&c.Host, hostName())
	if !c.Underlay.IsValid() {
		c.Underlay = defaultUnderlay()
	}
	set(&c.Pool4, DefaultPool4)
	set(&c.Docker, "unix:///var/run/docker.sock")
	set(&c.StateDir, "/var/lib/tombolo/linker")
	set(&c.RunDir, "/run/tombolo")
	set(&c.PluginDir, "/run/docker/plugins")
	set(&c.ResolvConf, "/var/lib/tombolo/resolv.conf")
	set(&c.GossipPort, gossip.DefaultPort)
	set(&c.VXLANPort, overlay.DefaultPort)
	set(&c.VNI, overlay.DefaultVNI)
	set(&c.JoinTimeout, 10*time.Second)
	set(&c.Settle, time.Second)
	set(&c.RestartWindow, 30*time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// hostName is the machine's, in the form that a host of a cluster has; "" where
// it cannot be told, which Validate refuses.
func hostName() string {
	machine, err := os.Hostname()
	if err != nil {
		return ""
	}
	name, err := record.HostName(machine)
	if err != nil {
		return ""
	}
	return name
}

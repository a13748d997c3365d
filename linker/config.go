package linker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"tombolo/internal/unixhttp"
	"tombolo/linker/block"
	"tombolo/linker/gossip"
	"tombolo/linker/record"
	"tombolo/overlay"
)

// The names under which users see a linker.
const (
	Driver  = "tombolo"          // the Docker network driver; its socket has that name too
	Network = "tombolo"          // the Docker network that the linker makes on its host
	Zone    = "tombolo.internal" // the DNS zone of the names that a linker answers
)

// defaultBlockedPorts are those of ZooKeeper, Docker, Mesos (master and agent) and the
// framework. A client that reaches one of them unprotected controls the cluster.
var defaultBlockedPorts = []uint16{2181, 2375, 2376, 5050, 5051, 7070}

// Config describes this host and its cluster. The zero Config works on one machine.
type Config struct {
	Version  string       // for the status; may be empty
	Host     string       // this host's name, a DNS label, unique in the cluster; default: the machine's name
	Underlay netip.Addr   // the address by which other hosts reach this one; default: that of the default route
	Join     []string     // addresses (host or host:port) of other hosts' gossip; none: this host is alone until others join it
	Pool4    netip.Prefix // the overlay's IPv4 range, the same on every host; default DefaultPool4
	Pool6    netip.Prefix // a unique local /48, the same on every host; unset: no IPv6
	Block    netip.Prefix // claim this block of Pool4 and no other; unset: a free one
	Docker   string       // the Engine; default unix:///var/run/docker.sock
	Keys     [][]byte     // encrypt the gossip, see gossip.Config; none: it is not encrypted

	// DNSFiles are the sockets of ListenDNS, if a supervisor keeps them open. The linker
	// closes its own copies. None: it opens sockets itself.
	DNSFiles []*os.File

	StateDir   string // default /var/lib/tombolo/linker
	RunDir     string // holds the API's socket; default /run/tombolo
	PluginDir  string // where Docker looks for plugins; default /run/docker/plugins
	ResolvConf string // the file that containers mount; default /var/lib/tombolo/resolv.conf

	// Metrics is the host and port at which Prometheus gets metrics over HTTP. Everybody who
	// reaches it can read them, so it should be a loopback address. "": they are not served.
	Metrics string

	GossipPort uint16 // default 7980
	VXLANPort  uint16 // default 8480
	VNI        int    // number of the VXLAN network; default 1980

	// BlockedPorts are TCP ports that containers may not reach outside of the overlay,
	// besides those of the linker itself; default defaultBlockedPorts.
	BlockedPorts []uint16

	JoinTimeout   time.Duration // how long a host that has met no other looks for those to join; default 10 s
	Settle        time.Duration // how long other hosts may contest a new claim of a block; default 1 s
	RestartWindow time.Duration // how long peers wait for a linker that restarts; default 30 s

	Log *slog.Logger // default: discards
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
	if !c.Pool4.Addr().Is4() || c.Pool4.Bits() > block.Bits4 || c.Pool4 != c.Pool4.Masked() {
		errs = append(errs, fmt.Errorf("pool %s: want an IPv4 range of at least a /%d", c.Pool4, block.Bits4))
	}
	if p := c.Pool6; p.IsValid() && (!p.Addr().Is6() || p.Bits() != 48 || p != p.Masked()) {
		errs = append(errs, fmt.Errorf("IPv6 pool %s: want a /48", p))
	}
	if b := c.Block; b.IsValid() && (b.Bits() != block.Bits4 || !c.Pool4.Overlaps(b) || b.Overlaps(block.ServiceRange4(c.Pool4)) || b != b.Masked()) {
		errs = append(errs, fmt.Errorf("block %s: want a /%d of %s outside %s", b, block.Bits4, c.Pool4, block.ServiceRange4(c.Pool4)))
	}
	if _, err := net.ResolveTCPAddr("tcp", c.Metrics); c.Metrics != "" && err != nil {
		errs = append(errs, fmt.Errorf("metrics address %q: want one like 127.0.0.1:7982", c.Metrics))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("linker config: %w", err)
	}
	return nil
}

// APISocket returns the path of the unix socket of the linker's API.
func (c Config) APISocket() string { return filepath.Join(c.withDefaults().RunDir, "linker.sock") }

func (c Config) pluginSocket() string {
	return filepath.Join(c.withDefaults().PluginDir, Driver+".sock")
}

// ProbePlugin returns an error unless the plugin of the linker with this Config answers
// as Docker expects. A supervisor calls it, because Docker must not wait for a linker
// that is stuck.
func (c Config) ProbePlugin(ctx context.Context) error {
	transport := unixhttp.Transport(c.pluginSocket())
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://plugin/Plugin.Activate", nil)
	if err != nil {
		return err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("probe the plugin: %w", err)
	}
	resp.Body.Close()
	return nil
}

func (c Config) withDefaults() Config {
	c.Host = cmp.Or(c.Host, hostName())
	if !c.Underlay.IsValid() {
		c.Underlay = defaultUnderlay()
	}
	c.Pool4 = cmp.Or(c.Pool4, DefaultPool4)
	c.Docker = cmp.Or(c.Docker, "unix:///var/run/docker.sock")
	c.StateDir = cmp.Or(c.StateDir, "/var/lib/tombolo/linker")
	c.RunDir = cmp.Or(c.RunDir, "/run/tombolo")
	c.PluginDir = cmp.Or(c.PluginDir, "/run/docker/plugins")
	c.ResolvConf = cmp.Or(c.ResolvConf, "/var/lib/tombolo/resolv.conf")
	c.GossipPort = cmp.Or(c.GossipPort, gossip.DefaultPort)
	c.VXLANPort = cmp.Or(c.VXLANPort, overlay.DefaultPort)
	c.VNI = cmp.Or(c.VNI, overlay.DefaultVNI)
	if c.BlockedPorts == nil {
		c.BlockedPorts = defaultBlockedPorts
	}
	c.JoinTimeout = cmp.Or(c.JoinTimeout, 10*time.Second)
	c.Settle = cmp.Or(c.Settle, time.Second)
	c.RestartWindow = cmp.Or(c.RestartWindow, 30*time.Second)
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	return c
}

// hostName returns the machine's name in the form that host names have, or "", which
// Validate refuses, if it cannot be read or converted.
func hostName() string {
	if machine, err := os.Hostname(); err == nil {
		if name, err := record.HostName(machine); err == nil {
			return name
		}
	}
	return ""
}

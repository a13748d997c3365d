package lab

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
)

// Where a lab keeps its files. RunDir holds sockets, and a folder of the lab's own in DataDir
// images and volumes; Down removes both. cacheDir holds the blobs of the registry and stays, so that the next lab
// starts faster.
const (
	RunDir   = "/run/tombolo/lab"
	DataDir  = "/var/lib/tombolo-lab"
	cacheDir = "/var/cache/tombolo/registry"

	// Netns is the file on which the underlay's network namespace is mounted. It is not
	// in /run/netns, because the first `ip netns add` on a machine mounts that folder over
	// itself, and then nothing that was mounted there before can be unmounted.
	Netns = RunDir + "/underlay"

	maxHosts = 50
)

// Underlay is the network between the hosts of a lab. It is part of the benchmarking
// range of RFC 2544, which no real network routes.
var (
	Underlay     = netip.MustParsePrefix("198.18.0.0/24")
	Gateway      = netip.MustParseAddr("198.18.0.1")
	RegistryPort = uint16(5000)
)

// Config says what to make.
type Config struct {
	Hosts     int            // number of virtual hosts, 1 to 50
	Binary    string         // absolute path of the tombolo binary that the hosts run
	NoLinker  bool           // make hosts with an Engine and nothing else, to compare other overlays
	NoControl bool           // make no control daemon: the user starts the containers
	NoIPv6    bool           // make an overlay without IPv6
	Engine    map[string]any // settings of each host's Docker Engine, as in its daemon.json; nil: the defaults
	Pool      netip.Prefix   // IPv4 range of the overlay; unset: one that is free on this machine
	Owner     int            // number of the process for which the lab is made; after its end, Up may replace the lab. 0: none
	Log       *slog.Logger
}

// Validate reports every problem at once.
func (c Config) Validate() error {
	var errs []error
	if c.Hosts < 1 || c.Hosts > maxHosts {
		errs = append(errs, fmt.Errorf("hosts: %d is not in 1..%d", c.Hosts, maxHosts))
	}
	if !filepath.IsAbs(c.Binary) {
		errs = append(errs, fmt.Errorf("binary: %q is not an absolute path", c.Binary))
	}
	for _, key := range slices.Sorted(maps.Keys(engineSettings(Host{}))) {
		if _, ok := c.Engine[key]; ok {
			errs = append(errs, fmt.Errorf("engine: the lab itself sets %s", key))
		}
	}
	return errors.Join(errs...)
}

package lab

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
)

// Where a lab keeps things. Sockets live in RunDir, images and volumes in
// DataDir; both are removed by Down. CacheDir holds registry blobs and is kept,
// so that the next lab starts warm.
const (
	RunDir   = "/run/tombolo/lab"
	DataDir  = "/var/lib/tombolo-lab"
	CacheDir = "/var/cache/tombolo/registry"

	// Netns is the file that the underlay's network namespace is mounted on. Not in
	// /run/netns: the first `ip netns add` on a machine mounts that over itself, and
	// what was mounted there before could not be unmounted any more.
	Netns = RunDir + "/underlay"

	maxHosts = 50
)

// Underlay is the lab's network: a part of the benchmarking range of RFC 2544,
// which no real network routes.
var (
	Underlay     = netip.MustParsePrefix("198.18.0.0/24")
	Gateway      = netip.MustParseAddr("198.18.0.1")
	RegistryPort = uint16(5000)
)

// Config says what a lab shall be.
type Config struct {
	Hosts     int    // how many virtual hosts, 1 to 50
	Binary    string // path of the tombolo binary that the hosts run
	NoLinker  bool   // hosts with an Engine only: for comparisons with other overlays
	NoControl bool   // linkers, but no control daemon: containers are the user's to start
	NoIPv6    bool   // an overlay of IPv4 alone
	Owner     int    // the number of the process without which nobody wants the lab; 0: there is none
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
	return errors.Join(errs...)
}

func hostName(i int) string { return fmt.Sprintf("h%d", i) }

func hostAddr(i int) netip.Addr {
	a := Underlay.Addr().As4()
	a[3] = byte(10 + i)
	return netip.AddrFrom4(a)
}

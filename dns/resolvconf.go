package dns

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	resolvCheck = time.Second // between two checks whether the file has changed
	maxServers  = 8
	dnsPort     = 53
)

// resolvConf reads the name servers from a resolv.conf(5), again whenever the file changes.
type resolvConf struct {
	path string
	own  []netip.Addr // skipped, because to ask ourselves would be a loop

	mu      sync.Mutex
	checked time.Time
	info    fs.FileInfo
	servers []netip.AddrPort
}

// at returns the name servers at the time now. If the file cannot be read, it returns those of the
// last time with an error.
func (r *resolvConf) at(now time.Time) ([]netip.AddrPort, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.info != nil && now.Sub(r.checked) < resolvCheck {
		return r.servers, nil
	}
	r.checked = now
	info, err := os.Stat(r.path)
	if err != nil {
		return r.servers, fmt.Errorf("find the host's name servers: %w", err)
	}
	if r.info != nil && os.SameFile(info, r.info) && info.ModTime().Equal(r.info.ModTime()) && info.Size() == r.info.Size() {
		return r.servers, nil
	}
	content, err := os.ReadFile(r.path)
	if err != nil {
		return r.servers, fmt.Errorf("find the host's name servers: %w", err)
	}
	r.info, r.servers = info, parseResolvConf(content, r.own)
	return r.servers, nil
}

// Resolvers returns the name servers to which queries for other names than ours go: those in the
// host's /etc/resolv.conf, without the addresses own, and those that systemd-resolved asks if
// its stub is one of them.
func Resolvers(own ...netip.Addr) ([]netip.Addr, error) {
	content, err := os.ReadFile(hostResolvConf)
	if err != nil {
		return nil, fmt.Errorf("find the host's name servers: %w", err)
	}
	behind, _ := os.ReadFile(resolvedConf) // only systemd-resolved writes it
	return resolvers(content, behind, own), nil
}

func resolvers(content, behind []byte, own []netip.Addr) (all []netip.Addr) {
	for _, s := range parseResolvConf(content, own) {
		all = append(all, s.Addr())
	}
	if slices.ContainsFunc(all, netip.Addr.IsLoopback) {
		for _, s := range parseResolvConf(behind, own) {
			all = append(all, s.Addr())
		}
	}
	return all
}

const (
	hostResolvConf = "/etc/resolv.conf"                 // where a host names its name servers
	resolvedConf   = "/run/systemd/resolve/resolv.conf" // the servers that systemd-resolved asks (systemd-resolved.service(8))
)

// parseResolvConf returns the name servers in the order of the file, without our own addresses.
func parseResolvConf(content []byte, own []netip.Addr) []netip.AddrPort {
	conf, err := dns.ClientConfigFromReader(bytes.NewReader(content))
	if err != nil {
		return nil
	}
	var servers []netip.AddrPort
	for _, text := range conf.Servers {
		addr, err := netip.ParseAddr(text)
		if err == nil && !slices.Contains(own, addr.Unmap()) && len(servers) < maxServers {
			servers = append(servers, netip.AddrPortFrom(addr.Unmap(), dnsPort))
		}
	}
	return servers
}

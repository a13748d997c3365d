package dns

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
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

// parseResolvConf returns the name servers in the order of the file, without our own addresses.
func parseResolvConf(content []byte, own []netip.Addr) []netip.AddrPort {
	var servers []netip.AddrPort
	lines := bufio.NewScanner(bytes.NewReader(content))
	for lines.Scan() && len(servers) < maxServers {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		addr, err := netip.ParseAddr(fields[1])
		if err != nil || slices.Contains(own, addr.Unmap()) {
			continue
		}
		servers = append(servers, netip.AddrPortFrom(addr.Unmap(), dnsPort))
	}
	return servers
}

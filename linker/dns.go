package linker

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"

	"tombolo/dns"
	"tombolo/overlay"
)

// dnsAddr is the address that containers send their queries to.
var dnsAddr = netip.AddrPortFrom(overlay.Gateway4, 53)

// ListenDNS opens the sockets on which a linker answers, for a supervisor that keeps
// them open while the linker restarts: queries then wait instead of being refused. It
// reuses the sockets of an earlier call if it can; kept are their files.
func ListenDNS(ctx context.Context, kept []*os.File) ([]*os.File, error) {
	sockets, err := dns.FromFiles(kept)
	if err != nil {
		if sockets, err = dns.Listen(ctx, dnsAddr); err != nil {
			return nil, err
		}
	}
	defer sockets.Close() // the files are duplicates
	return sockets.Files()
}

// dnsSockets takes over the sockets of ListenDNS, or opens its own if there are none.
func dnsSockets(ctx context.Context, files []*os.File) (*dns.Sockets, error) {
	if len(files) > 0 {
		return dns.FromFiles(files)
	}
	return dns.Listen(ctx, dnsAddr)
}

// resolvConf is the content of the file that containers mount over their
// /etc/resolv.conf. It has no search list, because the linker itself answers short names.
const resolvConf = `# The Tombolo linker of this host answers, in the view of the container that asks.
nameserver 169.254.1.1
options ndots:0 timeout:2 attempts:3
`

// writeResolvConf leaves a file with the right content alone: containers have it mounted,
// and must not find it empty for a moment.
func (l *Linker) writeResolvConf() error {
	path := l.cfg.ResolvConf
	if have, err := os.ReadFile(path); err == nil && string(have) == resolvConf {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(resolvConf), 0o644)
}

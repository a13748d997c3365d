package attach

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"tombolo/linker/record"
)

// HostSockets reads the kernel's tables of sockets (proc(5), /proc/net/tcp). It opens no
// socket itself, because a bind could take a port from a process that is about to use
// it. It ignores sockets on Gateway4, since no published port is reached there.
type HostSockets struct{}

// socket is a line of /proc/net/{tcp,udp}{,6} that blocks a bind to its port.
type socket struct {
	addr  netip.Addr
	port  uint16
	inode string
}

// Holder names the process that has p's host port. It returns "" if the port is free.
func (HostSockets) Holder(p record.PublishedPort) string {
	for _, table := range []string{p.Proto, p.Proto + "6"} {
		lines, err := os.ReadFile(filepath.Join("/proc/self/net", table))
		if err != nil {
			continue // there is no table for sctp, and none for IPv6 if that is off
		}
		for line := range strings.Lines(string(lines)) {
			if s, ok := parseSocket(p.Proto, line); ok && s.blocks(p) {
				return fmt.Sprintf("%s, which listens on %s", processOf(s.inode), netip.AddrPortFrom(s.addr, s.port))
			}
		}
	}
	return ""
}

func (s socket) blocks(p record.PublishedPort) bool {
	return s.port == p.HostPort && s.addr != Gateway4 && (s.addr.IsUnspecified() || !p.HostIP.IsValid() || s.addr == p.HostIP)
}

// parseSocket parses one line. It returns ok=false for the heading and for sockets that
// have a peer.
func parseSocket(proto, line string) (_ socket, ok bool) {
	listening := map[string]string{"tcp": "0A", "udp": "07"}[proto]
	f := strings.Fields(line)
	if len(f) < 10 || f[3] != listening {
		return socket{}, false
	}
	host, port, ok := strings.Cut(f[1], ":")
	raw, err := hex.DecodeString(host)
	n, perr := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil || perr != nil || len(raw)%4 != 0 {
		return socket{}, false
	}
	for word := range slices.Chunk(raw, 4) { // each word is in the machine's byte order, little-endian
		slices.Reverse(word)
	}
	addr, ok := netip.AddrFromSlice(raw)
	return socket{addr: addr.Unmap(), port: uint16(n), inode: f[9]}, ok
}

// processOf names a process that has the socket open.
func processOf(inode string) string {
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the pattern is well formed
	for _, link := range links {
		if to, err := os.Readlink(link); err != nil || to != "socket:["+inode+"]" {
			continue
		}
		pid := strings.Split(link, "/")[2]
		name, err := os.ReadFile(filepath.Join("/proc", pid, "comm"))
		if err == nil {
			return fmt.Sprintf("%s (pid %s)", strings.TrimSpace(string(name)), pid)
		}
	}
	return "another process"
}

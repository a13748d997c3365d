package hostport

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// listening is a line of /proc/net/{tcp,udp}{,6} that blocks a bind to its port.
type listening struct {
	addr  netip.Addr
	port  uint16
	inode string
}

// holder names the process that listens on p, from the kernel's tables of sockets (proc(5),
// /proc/net/tcp). It returns "" if there is none. It ignores sockets on Gateway4.
func holder(p Port) string {
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

func (s listening) blocks(p Port) bool {
	return s.port == p.Number && s.addr != Gateway4 && (s.addr.IsUnspecified() || !p.IP.IsValid() || s.addr == p.IP)
}

// parseSocket parses one line. It returns ok=false for the heading and for sockets that
// have a peer.
func parseSocket(proto, line string) (_ listening, ok bool) {
	state := map[string]string{"tcp": "0A", "udp": "07"}[proto]
	f := strings.Fields(line)
	if len(f) < 10 || f[3] != state {
		return listening{}, false
	}
	host, port, ok := strings.Cut(f[1], ":")
	raw, err := hex.DecodeString(host)
	n, perr := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil || perr != nil || len(raw)%4 != 0 {
		return listening{}, false
	}
	for word := range slices.Chunk(raw, 4) { // each word is in the machine's byte order, little-endian
		slices.Reverse(word)
	}
	addr, ok := netip.AddrFromSlice(raw)
	return listening{addr: addr.Unmap(), port: uint16(n), inode: f[9]}, ok
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

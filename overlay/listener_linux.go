package overlay

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// listenerOn reports, as a *PortTakenError, the socket that listens on at, or on
// an address that covers it or is covered by it.
func listenerOn(proto string, at netip.AddrPort) error {
	if proto == "sctp" { // /proc/net has no such table without the module
		return &PortTakenError{Proto: proto, Addr: at}
	}
	for _, table := range []string{proto, proto + "6"} {
		data, err := os.ReadFile("/proc/thread-self/net/" + table)
		if err != nil {
			continue // no IPv6
		}
		for line := range strings.Lines(string(data)) {
			local, inode, ok := parseListener(line)
			if ok && collide(local, at) {
				return &PortTakenError{Proto: proto, Addr: at, Holder: holderOf(inode)}
			}
		}
	}
	return nil
}

// parseListener reads a line of /proc/net/{tcp,udp}{,6} (proc_pid_net(5)). It is
// false for the heading and for sockets that have a peer.
func parseListener(line string) (local netip.AddrPort, inode string, ok bool) {
	f := strings.Fields(line)
	if len(f) < 10 || f[3] != "0A" && f[3] != "07" { // TCP_LISTEN; UDP's unconnected is TCP_CLOSE
		return local, "", false
	}
	address, port, _ := strings.Cut(f[1], ":")
	raw, err := hex.DecodeString(address)
	if err != nil || len(raw)%4 != 0 {
		return local, "", false
	}
	for i := 0; i < len(raw); i += 4 { // words in the machine's order
		binary.BigEndian.PutUint32(raw[i:], binary.NativeEndian.Uint32(raw[i:]))
	}
	addr, ok := netip.AddrFromSlice(raw)
	n, err := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil {
		return local, "", false
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), f[9], true
}

// collide reports whether a socket on a would get what is sent to b. One on ::
// gets IPv4 as well, as a rule.
func collide(a, b netip.AddrPort) bool {
	if a.Port() != b.Port() {
		return false
	}
	if a.Addr() == b.Addr() || a.Addr() == netip.IPv6Unspecified() {
		return true
	}
	return a.Addr().Is4() == b.Addr().Is4() && (a.Addr().IsUnspecified() || b.Addr().IsUnspecified())
}

// holderOf names the process that holds a socket, or nobody.
func holderOf(inode string) string {
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err != nil || target != "socket:["+inode+"]" {
			continue
		}
		pid := strings.Split(fd, "/")[2]
		comm, _ := os.ReadFile("/proc/" + pid + "/comm")
		return fmt.Sprintf("%s (pid %s)", strings.TrimSpace(string(comm)), pid)
	}
	return ""
}

package overlay

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// PortTaken reports, as a *PortTakenError, that a socket of this host listens
// where a port is to be published; an unset or unspecified ip is every address. A
// publication would take such a socket's new connections away without a word. An
// ip that is not this host's is an error too.
//
// It tries to bind, and where that fails asks who listens: a socket that only
// left from that port is in nobody's way.
func PortTaken(proto string, ip netip.Addr, port uint16) error {
	addrs := []netip.Addr{ip.Unmap()}
	if !ip.IsValid() || ip.IsUnspecified() {
		addrs = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	}
	for _, addr := range addrs {
		err := tryBind(proto, netip.AddrPortFrom(addr, port))
		switch {
		case errors.Is(err, unix.EADDRINUSE):
			if err := listenerOn(proto, netip.AddrPortFrom(addr, port)); err != nil {
				return err
			}
		case errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.ESOCKTNOSUPPORT):
			// Nobody can listen with what the kernel does not speak.
		case errors.Is(err, unix.EADDRNOTAVAIL) && addr.IsUnspecified():
			// IPv6 is switched off.
		case err != nil:
			return fmt.Errorf("port %d/%s on %s: %w", port, proto, addr, err)
		}
	}
	return nil
}

// tryBind takes the port for a moment, without listening.
func tryBind(proto string, at netip.AddrPort) error {
	kind, number := unix.SOCK_STREAM, int(protoNumbers[proto])
	switch proto {
	case "udp":
		kind = unix.SOCK_DGRAM
	case "tcp", "sctp":
	default:
		return fmt.Errorf("unknown protocol %q", proto)
	}
	family := unix.AF_INET
	if at.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, number)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	if proto != "udp" { // or connections in TIME_WAIT would count
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	}
	if err == nil && family == unix.AF_INET6 {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	if err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if family == unix.AF_INET6 {
		return os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrInet6{Addr: at.Addr().As16(), Port: int(at.Port())}))
	}
	return os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())}))
}

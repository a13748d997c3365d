package hostport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Gateway4 is the address of the host where the DNS server listens. No published port is
// reached there, so sockets on it are in nobody's way.
var Gateway4 = netip.MustParseAddr("169.254.1.1")

// socket holds one port, as a rule with one socket of the kernel.
type socket struct {
	ports     *Ports
	port      Port
	ctx       context.Context // ends with the socket; only the relays use it
	cancel    context.CancelFunc
	listeners []net.Listener
	packets   []*net.UDPConn
	relays    sync.WaitGroup
}

// listen binds a port and begins to relay. It returns nil for a protocol without sockets (SCTP).
func (h *Ports) listen(p Port) (*socket, error) {
	if p.Proto != "tcp" && p.Proto != "udp" {
		return nil, nil
	}
	s := &socket{ports: h, port: p}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	err := s.open(p.IP)
	if errors.Is(err, unix.EADDRINUSE) && !p.IP.IsValid() && holder(p) == "" {
		err = s.openEach() // perhaps the DNS server has the port on Gateway4
	}
	if err != nil {
		s.close()
		if name := holder(p); name != "" {
			return nil, errors.New(name)
		}
		return nil, fmt.Errorf("another process (%w)", err)
	}
	for _, l := range s.listeners {
		s.relays.Go(func() { s.accept(l) })
	}
	for _, c := range s.packets {
		s.relays.Go(func() { newDatagrams(s, c).run() })
	}
	return s, nil
}

// openEach binds the port on each address of the host but Gateway4.
func (s *socket) openEach() error {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return err
	}
	for _, a := range all {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil || prefix.Addr() == Gateway4 || prefix.Addr().IsLinkLocalUnicast() && prefix.Addr().Is6() {
			continue
		}
		if err := s.open(prefix.Addr()); err != nil {
			return err
		}
	}
	return nil
}

// open binds the port on one address; the zero Addr means every address, IPv4 and IPv6.
func (s *socket) open(ip netip.Addr) error {
	host := ""
	if ip.IsValid() {
		host = ip.String()
	}
	addr := net.JoinHostPort(host, strconv.Itoa(int(s.port.Number)))
	cfg := net.ListenConfig{Control: freebind}
	cfg.SetMultipathTCP(false)
	if s.port.Proto == "tcp" {
		l, err := cfg.Listen(s.ctx, "tcp", addr)
		if err == nil {
			s.listeners = append(s.listeners, l)
		}
		return err
	}
	c, err := cfg.ListenPacket(s.ctx, "udp", addr)
	if err == nil {
		s.packets = append(s.packets, c.(*net.UDPConn))
	}
	return err
}

// freebind lets the socket have an address that the host does not have yet.
func freebind(_, _ string, raw syscall.RawConn) (err error) {
	cerr := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_FREEBIND, 1) })
	return errors.Join(cerr, err)
}

// close frees the port at once. Relayed connections end soon after.
func (s *socket) close() {
	s.cancel()
	for _, l := range s.listeners {
		_ = l.Close()
	}
	for _, c := range s.packets {
		_ = c.Close()
	}
}

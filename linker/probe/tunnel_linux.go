package probe

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// Listen opens the socket of a prober at this host's own address in the overlay.
func Listen(ctx context.Context, addr netip.AddrPort) (Tunnel, error) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) {
			// IP_PMTUDISC_PROBE sets "don't fragment" and ignores the MTU of the route, which
			// the prober itself has caused. With IP_FREEBIND the address may be missing for
			// a moment, while another program removes and this host's overlay repairs it.
			if failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE); failed == nil {
				failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_FREEBIND, 1)
			}
		})
		if err == nil {
			err = failed
		}
		return err
	}}
	conn, err := config.ListenPacket(ctx, "udp4", addr.String())
	if err != nil {
		return nil, fmt.Errorf("listen for the probes of other hosts: %w", err)
	}
	return &tunnel{conn.(*net.UDPConn), addr.Port()}, nil
}

// tunnel implements Tunnel.
type tunnel struct {
	*net.UDPConn
	port uint16 // of every host
}

func (t *tunnel) Send(to netip.Addr, datagram []byte) error {
	_, err := t.WriteToUDPAddrPort(datagram, netip.AddrPortFrom(to, t.port))
	return err
}

func (t *tunnel) Receive(into []byte) (int, netip.Addr, error) {
	n, from, err := t.ReadFromUDPAddrPort(into)
	return n, from.Addr().Unmap(), err
}

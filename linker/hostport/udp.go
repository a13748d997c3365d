package hostport

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// idleAfter is how long a UDP client may pause without losing its port towards the target.
const idleAfter = 2 * time.Minute

// maxDatagram is the largest possible one.
const maxDatagram = 65535

// datagrams relays the datagrams that come to ::1 on one socket.
type datagrams struct {
	socket *socket
	conn   *net.UDPConn
	v6     *ipv6.PacketConn // nil for an IPv4 socket

	mu      sync.Mutex
	clients map[netip.AddrPort]*net.UDPConn // client -> the connection to its target
}

func newDatagrams(s *socket, conn *net.UDPConn) *datagrams {
	d := &datagrams{socket: s, conn: conn, clients: map[netip.AddrPort]*net.UDPConn{}}
	if local, err := netip.ParseAddrPort(conn.LocalAddr().String()); err == nil && local.Addr().Is6() {
		d.v6 = ipv6.NewPacketConn(conn)
		if err := d.v6.SetControlMessage(ipv6.FlagDst, true); err != nil {
			s.ports.log.Warn("datagrams to ::1 are not served", "port", s.port, "err", err)
			d.v6 = nil
		}
	}
	return d
}

// run relays until the socket is closed. It drops datagrams to other addresses: they have
// come here because the rules that lead to containers are missing.
func (d *datagrams) run() {
	defer d.closeAll()
	for buf := make([]byte, maxDatagram); ; {
		n, to, from, err := d.read(buf)
		switch {
		case d.socket.ctx.Err() != nil:
			return
		case err != nil:
			time.Sleep(10 * time.Millisecond) // such as no memory
		case to == netip.IPv6Loopback():
			d.forward(buf[:n], from)
		}
	}
}

func (d *datagrams) read(buf []byte) (n int, to netip.Addr, from netip.AddrPort, err error) {
	if d.v6 == nil {
		n, from, err = d.conn.ReadFromUDPAddrPort(buf)
		return n, netip.Addr{}, from, err
	}
	n, cm, src, err := d.v6.ReadFrom(buf)
	if err != nil {
		return n, to, from, err
	}
	if cm != nil {
		to, _ = netip.AddrFromSlice(cm.Dst)
	}
	from = src.(*net.UDPAddr).AddrPort()
	return n, to, from, nil
}

// forward sends a datagram to the client's target. A client whose target is one no more gets
// another.
func (d *datagrams) forward(datagram []byte, client netip.AddrPort) {
	targets := d.socket.ports.targets(d.socket.port)
	d.mu.Lock()
	server := d.clients[client]
	if server != nil && !slices.Contains(targets, server.RemoteAddr().(*net.UDPAddr).AddrPort()) {
		server.Close()
		delete(d.clients, client)
		server = nil
	}
	if server == nil && len(targets) > 0 && len(d.clients) < maxRelays {
		var err error
		if server, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(targets[0])); err == nil {
			d.clients[client] = server
			d.socket.relays.Go(func() { d.answer(client, server) })
		}
	}
	d.mu.Unlock()
	if server == nil {
		return
	}
	_ = server.SetReadDeadline(time.Now().Add(idleAfter))
	_, _ = server.Write(datagram) // a datagram may be lost
}

// answer relays the answers to a client, until it has paused for long or its target changes.
func (d *datagrams) answer(client netip.AddrPort, server *net.UDPConn) {
	from := &ipv6.ControlMessage{Src: net.IPv6loopback}
	for buf := make([]byte, maxDatagram); ; {
		n, err := server.Read(buf)
		switch {
		case err == nil:
			_, _ = d.v6.WriteTo(buf[:n], from, net.UDPAddrFromAddrPort(client))
		case errors.Is(err, net.ErrClosed):
			return
		case errors.Is(err, os.ErrDeadlineExceeded), !errors.Is(err, unix.ECONNREFUSED):
			d.drop(client, server)
			return
		}
	}
}

func (d *datagrams) drop(client netip.AddrPort, server *net.UDPConn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.clients[client] == server {
		delete(d.clients, client)
	}
	server.Close()
}

func (d *datagrams) closeAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, server := range d.clients {
		server.Close()
	}
}

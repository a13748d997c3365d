package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	maxUDPSockets = 4       // with more, the kernel's receive path is the bottleneck
	receiveBuffer = 4 << 20 // bytes, room for about 5,000 small queries
	portTries     = 8       // attempts to find a port that is free for both UDP and TCP
)

// Sockets listen on one address: several UDP sockets that share the port (SO_REUSEPORT), so that
// the load is spread over the cores, and one for TCP.
type Sockets struct {
	UDP []*net.UDPConn
	TCP *net.TCPListener
}

// Listen binds addr, which need not be an address of the host yet. If another program has the
// port, it binds a free port of the same address instead: the caller compares Addr with addr and
// redirects the containers.
func Listen(ctx context.Context, addr netip.AddrPort) (*Sockets, error) {
	s, err := listen(ctx, addr)
	if !errors.Is(err, syscall.EADDRINUSE) {
		return s, err
	}
	for range portTries { // a port that is free for UDP may be taken for TCP
		if s, err = listen(ctx, netip.AddrPortFrom(addr.Addr(), 0)); err == nil {
			return s, nil
		}
	}
	return nil, err
}

func listen(ctx context.Context, addr netip.AddrPort) (*Sockets, error) {
	s := new(Sockets)
	for range min(runtime.NumCPU(), maxUDPSockets) {
		pc, err := (&net.ListenConfig{Control: controlUDP}).ListenPacket(ctx, "udp", addr.String())
		if err != nil {
			s.Close()
			return nil, fmt.Errorf("listen for DNS on udp %s: %w", addr, err)
		}
		s.UDP = append(s.UDP, pc.(*net.UDPConn))
		addr = netip.AddrPortFrom(addr.Addr(), s.Addr().Port())
	}
	l, err := (&net.ListenConfig{Control: controlTCP}).Listen(ctx, "tcp", addr.String())
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("listen for DNS on tcp %s: %w", addr, err)
	}
	s.TCP = l.(*net.TCPListener)
	return s, nil
}

func controlUDP(_, _ string, c syscall.RawConn) error {
	return control(c, func(fd int) error {
		// Root may exceed rmem_max. Others get what they may have: a smaller buffer only drops
		// more of a burst.
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
		}
		return errors.Join(
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1),
			unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_FREEBIND, 1),
		)
	})
}

func controlTCP(_, _ string, c syscall.RawConn) error {
	return control(c, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_FREEBIND, 1)
	})
}

func control(c syscall.RawConn, set func(fd int) error) error {
	var err error
	if outer := c.Control(func(fd uintptr) { err = set(int(fd)) }); outer != nil {
		return outer
	}
	return err
}

// Addr returns the address of the sockets.
func (s *Sockets) Addr() netip.AddrPort {
	a := s.UDP[0].LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// Close closes all sockets. A Server does it itself.
func (s *Sockets) Close() error {
	var errs []error
	for _, c := range s.UDP {
		errs = append(errs, c.Close())
	}
	if s.TCP != nil {
		errs = append(errs, s.TCP.Close())
	}
	return errors.Join(errs...)
}

// Files duplicates the sockets, so that another process can keep them open during a restart, for
// example systemd in its file descriptor store. FromFiles is the inverse.
func (s *Sockets) Files() ([]*os.File, error) {
	var files []*os.File
	for _, c := range s.UDP {
		f, err := c.File()
		if err != nil {
			return files, fmt.Errorf("duplicate DNS socket: %w", err)
		}
		files = append(files, f)
	}
	f, err := s.TCP.File()
	if err != nil {
		return files, fmt.Errorf("duplicate DNS socket: %w", err)
	}
	return append(files, f), nil
}

// FromFiles returns the Sockets of files that Files returned in an earlier process. It closes the
// files.
func FromFiles(files []*os.File) (*Sockets, error) {
	s := new(Sockets)
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	for _, f := range files {
		if err := s.adopt(f); err != nil {
			s.Close()
			return nil, fmt.Errorf("adopt DNS socket %s: %w", f.Name(), err)
		}
	}
	if len(s.UDP) == 0 || s.TCP == nil {
		s.Close()
		return nil, errors.New("adopt DNS sockets: need UDP and TCP")
	}
	return s, nil
}

func (s *Sockets) adopt(f *os.File) error {
	if pc, err := net.FilePacketConn(f); err == nil {
		if udp, ok := pc.(*net.UDPConn); ok {
			s.UDP = append(s.UDP, udp)
			return nil
		}
		pc.Close()
	}
	l, err := net.FileListener(f)
	if err != nil {
		return err
	}
	tcp, ok := l.(*net.TCPListener)
	if !ok || s.TCP != nil {
		l.Close()
		return errors.New("neither a UDP socket nor the one TCP listener")
	}
	s.TCP = tcp
	return nil
}

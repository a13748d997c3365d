package load

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// askEvery is the time between two queries of Watch, and so the resolution of its result.
const askEvery = 2 * time.Millisecond

// Watch asks server for name's address until it gets one, and returns the time of that. It asks again
// without waiting for an answer, so that a slow negative answer does not delay a positive one.
func Watch(ctx context.Context, server netip.AddrPort, name string) (time.Time, error) {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(server))
	if err != nil {
		return time.Time{}, err
	}
	defer conn.Close()
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), dns.TypeA)
	query, err := q.Pack()
	if err != nil {
		return time.Time{}, err
	}
	buf := make([]byte, udpRoom)
	for number := uint16(0); ctx.Err() == nil; number++ {
		binary.BigEndian.PutUint16(query, number)
		_, _ = conn.Write(query) // fails while the server restarts; the next query follows
		if err := conn.SetReadDeadline(time.Now().Add(askEvery)); err != nil {
			return time.Time{}, err
		}
		for {
			n, err := conn.Read(buf)
			if err == nil && hasAddress(buf[:n]) {
				return time.Now(), nil
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
		}
	}
	return time.Time{}, fmt.Errorf("look up %s: %w", name, ctx.Err())
}

func hasAddress(pkt []byte) bool {
	var m dns.Msg
	return m.Unpack(pkt) == nil && m.Rcode == dns.RcodeSuccess && len(m.Answer) > 0
}

// SystemResolver returns the first name server of /etc/resolv.conf.
func SystemResolver() (netip.AddrPort, error) {
	content, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return netip.AddrPort{}, err
	}
	for line := range strings.Lines(string(content)) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == "nameserver" {
			addr, err := netip.ParseAddr(f[1])
			return netip.AddrPortFrom(addr, 53), err
		}
	}
	return netip.AddrPort{}, errors.New("no name server in /etc/resolv.conf")
}

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

// askEvery is how often a Watch asks: the resolution of its result.
const askEvery = 2 * time.Millisecond

// Watch asks server for name's address until it gets one, and returns when that
// was. It does not wait for one answer before it asks again, so that a slow "no"
// does not hide a "yes".
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
		_, _ = conn.Write(query) // refused while the server restarts: asked again
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
	return time.Time{}, fmt.Errorf("%s: %w", name, ctx.Err())
}

func hasAddress(pkt []byte) bool {
	var m dns.Msg
	return m.Unpack(pkt) == nil && m.Rcode == dns.RcodeSuccess && len(m.Answer) > 0
}

// SystemResolver is the first name server of /etc/resolv.conf.
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

package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// Types of ICMP (RFC 792) and ICMPv6 (RFC 4443).
const (
	echo4, echoReply4, unreachable4 = 8, 0, 3
	echo6, echoReply6, unreachable6 = 128, 129, 1
)

// ping sends an echo request to an address. It prints "reply", "unreachable" or "silence".
func ping(args []string) error {
	to, err := netip.ParseAddr(args[0])
	if err != nil {
		return err
	}
	network, request, reply, unreachable := "ip4:icmp", byte(echo4), byte(echoReply4), byte(unreachable4)
	if to.Is6() {
		network, request, reply, unreachable = "ip6:ipv6-icmp", echo6, echoReply6, unreachable6
	}
	c, err := net.ListenPacket(network, "")
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		return err
	}
	packet := []byte{request, 0, 0, 0, 0, 0, 0, 1}
	packet[4], packet[5] = byte(os.Getpid()>>8), byte(os.Getpid())
	if to.Is4() { // the kernel computes the checksums of ICMPv6 only
		sum := checksum(packet)
		packet[2], packet[3] = byte(sum>>8), byte(sum)
	}
	if _, err := c.WriteTo(packet, &net.IPAddr{IP: to.AsSlice()}); err != nil {
		return err
	}
	result, err := echoed(c, to, reply, unreachable)
	fmt.Println(result)
	return err
}

// echoed waits for what comes back. A raw socket receives all ICMP messages of the container.
func echoed(c net.PacketConn, to netip.Addr, reply, unreachable byte) (string, error) {
	for buf := make([]byte, 1500); ; {
		n, from, err := c.ReadFrom(buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return "silence", nil
		case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.EACCES):
			return "unreachable", nil
		case err != nil:
			return "", err
		case n > 0 && buf[0] == reply && from.String() == to.String():
			return "reply", nil
		case n > 0 && buf[0] == unreachable:
			return "unreachable", nil
		}
	}
}

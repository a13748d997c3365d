package main

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
)

// ask sends a DNS query (RFC 1035) with the source SRC:PORT in its headers.
func ask(args []string) error {
	src := netip.MustParseAddr(args[0])
	port, err := strconv.ParseUint(args[1], 10, 16)
	if err != nil {
		return err
	}
	resolver := netip.MustParseAddr("169.254.1.1")
	packet := datagram(src, resolver, 53, query(args[2]))
	binary.BigEndian.PutUint16(packet[20:], uint16(port))
	return sendRaw(packet, resolver, 1)
}

// query returns a DNS query for the IPv4 addresses of a name.
func query(name string) string {
	q := []byte{0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	for label := range strings.SplitSeq(name, ".") {
		q = append(append(q, byte(len(label))), label...)
	}
	return string(append(q, 0, 0, 1, 0, 1))
}

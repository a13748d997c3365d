package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"syscall"

	"golang.org/x/net/dns/dnsmessage"
)

// sourcePort is the source port of every forged packet.
const sourcePort = 40000

// rawsend sends one packet with a forged source address. It needs CAP_NET_RAW, which Docker gives to
// every container by default.
func rawsend(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("rawsend", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	from := flags.String("from", "", "forged source address")
	to := flags.String("to", "", "destination ADDR:PORT")
	syn := flags.Bool("syn", false, "send a TCP SYN instead of a UDP packet")
	query := flags.String("query", "", "fill the UDP packet with a DNS query for this name")
	text := flags.String("text", "forged", "the UDP packet's contents")
	if flags.Parse(args) != nil || flags.NArg() != 0 {
		return errUsage
	}
	source, err := netip.ParseAddr(*from)
	if err != nil {
		return fmt.Errorf("-from: %w", err)
	}
	target, err := netip.ParseAddrPort(*to)
	if err != nil {
		return fmt.Errorf("-to: %w", err)
	}
	if source.Is4() != target.Addr().Is4() {
		return fmt.Errorf("%s and %s are of different address families", source, target)
	}
	payload := []byte(*text)
	if *query != "" {
		if payload, err = question(*query); err != nil {
			return fmt.Errorf("-query: %w", err)
		}
	}
	proto, segment := byte(syscall.IPPROTO_UDP), udp(target.Port(), payload)
	if *syn {
		proto, segment = syscall.IPPROTO_TCP, tcpSYN(target.Port())
	}
	if err := transmit(source, target.Addr(), proto, segment); err != nil {
		return fmt.Errorf("send as %s: %w", source, err)
	}
	fmt.Fprintln(out, "sent", source, "->", target)
	return nil
}

func question(name string) ([]byte, error) {
	n, err := dnsmessage.NewName(name + ".")
	if err != nil {
		return nil, err
	}
	message := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 4242, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: n, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}},
	}
	return message.Pack()
}

func udp(port uint16, payload []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, sourcePort)
	b = binary.BigEndian.AppendUint16(b, port)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	return append(append(b, 0, 0), payload...)
}

func tcpSYN(port uint16) []byte {
	b := make([]byte, 20)
	binary.BigEndian.PutUint16(b, sourcePort)
	binary.BigEndian.PutUint16(b[2:], port)
	binary.BigEndian.PutUint32(b[4:], 1) // sequence number
	b[12] = 5 << 4                       // header of five words
	b[13] = 0x02                         // SYN
	binary.BigEndian.PutUint16(b[14:], 64240)
	return b
}

// transmit sends the segment with its own IP header (RFC 791, RFC 8200).
func transmit(from, to netip.Addr, proto byte, segment []byte) error {
	sum := 6 // offset of the checksum in UDP
	if proto == syscall.IPPROTO_TCP {
		sum = 16 // and in TCP
	}
	binary.BigEndian.PutUint16(segment[sum:], checksum(pseudo(from, to, proto, len(segment)), segment))
	family, header := syscall.AF_INET, header4(from, to, proto, len(segment))
	if !to.Is4() {
		family, header = syscall.AF_INET6, header6(from, to, proto, len(segment))
	}
	fd, err := syscall.Socket(family, syscall.SOCK_RAW, syscall.IPPROTO_RAW)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	return syscall.Sendto(fd, append(header, segment...), 0, sockaddr(to))
}

func sockaddr(to netip.Addr) syscall.Sockaddr {
	if to.Is4() {
		return &syscall.SockaddrInet4{Addr: to.As4()}
	}
	return &syscall.SockaddrInet6{Addr: to.As16()}
}

// header4 leaves the length and the checksum to the kernel, see raw(7).
func header4(from, to netip.Addr, proto byte, length int) []byte {
	b := make([]byte, 12, 20+length)
	b[0] = 0x45
	b[8], b[9] = 64, proto
	return append(append(b, from.AsSlice()...), to.AsSlice()...)
}

func header6(from, to netip.Addr, proto byte, length int) []byte {
	b := make([]byte, 8, 40+length)
	b[0] = 0x60
	binary.BigEndian.PutUint16(b[4:], uint16(length))
	b[6], b[7] = proto, 64
	return append(append(b, from.AsSlice()...), to.AsSlice()...)
}

// pseudo returns the pseudo header that the checksums of UDP and TCP include. IPv4 has only 16 bits
// for the length, but the sum is the same.
func pseudo(from, to netip.Addr, proto byte, length int) []byte {
	b := append(from.AsSlice(), to.AsSlice()...)
	b = binary.BigEndian.AppendUint32(b, uint32(length))
	return append(b, 0, 0, 0, proto)
}

// checksum returns the Internet checksum (RFC 1071) of the parts together.
func checksum(parts ...[]byte) uint16 {
	var sum uint32
	for _, part := range parts {
		for i := 0; i+1 < len(part); i += 2 {
			sum += uint32(part[i])<<8 | uint32(part[i+1])
		}
		if len(part)%2 == 1 {
			sum += uint32(part[len(part)-1]) << 8
		}
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	if sum == 0xffff {
		return 0xffff // because zero means no checksum in UDP
	}
	return ^uint16(sum)
}

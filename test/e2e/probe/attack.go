package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// tunnelPort and vni are the overlay's (linker.Config).
const (
	tunnelPort = 8480
	vni        = 1980
)

// inject sends VXLAN to the tunnel of a host, ten times in a second: a datagram inside from SRC to
// DST. With the sender "-" it uses an ordinary socket, as a container without privileges can.
func inject(args []string) error {
	to := netip.MustParseAddr(args[1])
	payload, err := encapsulated(netip.MustParseAddr(args[2]), netip.MustParseAddr(args[3]), args[4])
	if err != nil {
		return err
	}
	if args[0] != "-" {
		return sendRaw(datagram(netip.MustParseAddr(args[0]), to, tunnelPort, string(payload)), to, 10)
	}
	c, err := net.Dial("udp", netip.AddrPortFrom(to, tunnelPort).String())
	if err != nil {
		return err
	}
	defer c.Close()
	for range 10 {
		_, _ = c.Write(payload) // an earlier one may have been refused, which this call then reports
		time.Sleep(100 * time.Millisecond)
	}
	return nil
}

// encapsulated returns the contents of a VXLAN packet (RFC 7348) with a datagram. The host whose block
// has dst is found by its MAC address, which derives from the first address of the block.
func encapsulated(src, dst netip.Addr, port string) ([]byte, error) {
	var number uint16
	if _, err := fmt.Sscan(port, &number); err != nil {
		return nil, fmt.Errorf("port %s: %w", port, err)
	}
	host := dst.As4()
	host[3] = 1
	inner := datagram(src, dst, number, "injected")
	binary.BigEndian.PutUint16(inner[10:], checksum(inner[:20]))
	header := binary.BigEndian.AppendUint32([]byte{8, 0, 0, 0}, vni<<8)
	return slices.Concat(header, []byte{2, 0x7b}, host[:], []byte{2, 0x7b, 0, 0, 0, 1, 8, 0}, inner), nil
}

func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) > 0; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// frame sends an Ethernet frame with a datagram to a MAC address on a device, ten times in a second.
func frame(args []string) error {
	device, err := net.InterfaceByName(args[0])
	if err != nil {
		return err
	}
	to, err := net.ParseMAC(args[1])
	if err != nil {
		return err
	}
	var port uint16
	if _, err := fmt.Sscan(args[4], &port); err != nil {
		return fmt.Errorf("port %s: %w", args[4], err)
	}
	packet := datagram(netip.MustParseAddr(args[2]), netip.MustParseAddr(args[3]), port, "framed")
	binary.BigEndian.PutUint16(packet[10:], checksum(packet[:20]))
	fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW, 0)
	if err != nil {
		return fmt.Errorf("packet socket: %w", err)
	}
	defer syscall.Close(fd)
	for range 10 {
		whole := slices.Concat(to, device.HardwareAddr, []byte{8, 0}, packet)
		if err := syscall.Sendto(fd, whole, 0, &syscall.SockaddrLinklayer{Ifindex: device.Index}); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	return nil
}

// flood counts the connections that it opens.
func flood(args []string) error {
	n := 0
	err := dialRepeatedly(args, func() { n++ })
	fmt.Println(n, "connections")
	return err
}

// pause measures how long connections cannot be opened.
func pause(args []string) error {
	last, longest := time.Now(), time.Duration(0)
	note := func() {
		longest = max(longest, time.Since(last))
		last = time.Now()
	}
	err := dialRepeatedly(args, note)
	note() // the connection may not have come back
	fmt.Println(longest)
	return err
}

// dialRepeatedly calls opened after each connection, for the time that args name.
func dialRepeatedly(args []string, opened func()) error {
	long, err := time.ParseDuration(args[1])
	if err != nil {
		return err
	}
	for end := time.Now().Add(long); time.Now().Before(end); {
		c, err := net.DialTimeout("tcp", args[0], 50*time.Millisecond)
		if err != nil {
			continue
		}
		opened()
		c.Close()
	}
	return nil
}

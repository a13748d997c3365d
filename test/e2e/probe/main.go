// Command probe runs inside the containers of the end-to-end tests.
//
//	probe serve PORT            answers each line, and each UDP datagram, with "HOSTNAME: line", or to "from" with the client's address
//	probe linger PORT           the same; prints the time first, and goes on when SIGTERM asks it to end
//	probe dial HOST:PORT        sends a line and prints the answer; exit code 1 if that fails
//	probe send HOST:PORT        the same by UDP
//	probe spread NET HOST PORT N  connects N times (NET: tcp4, tcp6, udp4, udp6) and prints how often each server answered
//	probe talk HOST:PORT        sends datagrams forever and prints who answers each
//	probe lookup NAME           prints the name's addresses, one on each line
//	probe srv NAME              prints the targets of the name's SRV records, with ports, one on each line
//	probe resolve SERVER udp|tcp NAME
//	                            prints what a DNS server at HOST:PORT answers, "none" if it says that NAME does not exist
//	probe member PORT NAME N    is a member of a cluster: it serves, and is healthy when N members answer under NAME
//	probe nameserver ADDR       answers DNS queries at ADDR:53 with 192.0.2.7, and prints the names
//	probe watch NAME            looks the name up forever, prints how long each look-up took, or its error
//	probe addresses             prints the container's own global addresses, one on each line
//	probe hold HOST:PORT        keeps one connection busy, prints "lost" and exits with 1 when it breaks
//	probe pool HOST:PORT        keeps one connection busy, opens another when it breaks, and prints how long that took
//	probe keep HOST:PORT        uses one connection for each line that it reads, and prints who answers or how it was lost
//	probe ping ADDR             sends an echo request and prints "reply", "unreachable" or "silence"
//	probe forge SRC DST PORT    sends UDP datagrams with the source address SRC from a raw socket
//	probe inject HOST1 HOST2 SRC DST PORT
//	                            sends VXLAN from HOST1 ("-": from an ordinary socket) to HOST2 with UDP datagrams inside
//	probe frame DEVICE MAC SRC DST PORT
//	                            sends UDP datagrams to a MAC address
//	probe flood HOST:PORT TIME  dials again and again, and prints how often it succeeded
//	probe pause HOST:PORT TIME  dials again and again, and prints the longest time without success
//	probe ask SRC PORT NAME     sends a DNS query with the source address SRC from a raw socket
//	probe remember FILE         counts its starts in FILE, prints "boot N", waits
//	probe stream HOST:PORT      sends a UDP datagram every 5 ms, forever
//	probe answer PORT           prints the source of every UDP datagram, and answers it 100 ms later
//	probe catch PORT            prints the source of every UDP datagram that arrives
//	probe facts                 prints what a process sees of itself and its container
//	probe trap                  prints the signals that arrive; only SIGKILL ends it
//	probe end CODE              exits with the code
//	probe check                 is the image's health check
//	probe healthy, unhealthy    makes the health check pass or fail
package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	verbs := map[string]struct {
		operands int
		run      func([]string) error
	}{
		"serve": {1, serve}, "dial": {1, dial}, "send": {1, send}, "lookup": {1, lookup}, "watch": {1, watch}, "addresses": {0, addresses}, "hold": {1, hold}, "forge": {3, forge}, "catch": {1, catch},
		"stream": {1, stream}, "answer": {1, answer}, "remember": {1, remember}, "facts": {0, facts}, "trap": {0, trap}, "end": {1, end}, "ask": {3, ask}, "inject": {5, inject}, "frame": {5, frame}, "flood": {2, flood}, "pour": {2, pour}, "pause": {2, pause},
		"spread": {4, spread}, "talk": {1, talk}, "linger": {1, linger}, "pool": {1, pool}, "keep": {1, keep}, "ping": {1, ping},
		"member": {3, member}, "srv": {1, srv}, "resolve": {3, resolve}, "nameserver": {1, nameserver},
		"check": {0, check}, "healthy": {0, healthy}, "unhealthy": {0, unhealthy},
	}
	if len(args) > 0 {
		if v, ok := verbs[args[0]]; ok && len(args) == v.operands+1 {
			if err := v.run(args[1:]); err != nil {
				fmt.Println("probe:", err)
				return 1
			}
			return 0
		}
	}
	fmt.Printf("usage: probe %s ...\n", strings.Join(slices.Sorted(maps.Keys(verbs)), "|"))
	return 2
}

func serve(args []string) error {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM) // process 1 has no default action for a signal
	return serveUntil(stop, args[0])
}

// linger serves like a program that takes its time to end. It prints when it starts.
func linger(args []string) error {
	signal.Ignore(syscall.SIGTERM)
	fmt.Println(time.Now().UnixMicro())
	return serveUntil(nil, args[0])
}

func serveUntil(stop <-chan os.Signal, port string) error {
	l, err := net.Listen("tcp", ":"+port)
	if err != nil {
		return err
	}
	go func() {
		<-stop
		l.Close()
	}()
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	if err := serveDatagrams(port, name); err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			for in := bufio.NewScanner(c); in.Scan(); {
				fmt.Fprintf(c, "%s: %s\n", name, reply(in.Text(), c.RemoteAddr()))
			}
		}()
	}
}

const dialTimeout = 2 * time.Second

func dial(args []string) error {
	c, err := net.DialTimeout("tcp", args[0], dialTimeout)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := exchange(c, bufio.NewReader(c), "hello"); err != nil {
		return err
	}
	fmt.Println(c.RemoteAddr())
	return nil
}

func lookup(args []string) error {
	addrs, err := net.LookupHost(args[0])
	if err != nil {
		return err
	}
	for _, a := range addrs {
		fmt.Println(a)
	}
	return nil
}

func srv(args []string) error {
	_, records, err := net.LookupSRV("", "", args[0])
	if err != nil {
		return err
	}
	for _, r := range records {
		fmt.Printf("%s%d\n", r.Target, r.Port)
	}
	return nil
}

func watch(args []string) error {
	for ; ; time.Sleep(10 * time.Millisecond) {
		began := time.Now()
		if _, err := net.LookupHost(args[0]); err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(time.Since(began))
	}
}

func addresses([]string) error {
	own, err := net.InterfaceAddrs()
	if err != nil {
		return err
	}
	for _, a := range own {
		if ip := a.(*net.IPNet).IP; ip.IsGlobalUnicast() {
			fmt.Println(ip)
		}
	}
	return nil
}

// exchange sends a line and waits for the answer.
func exchange(c net.Conn, r *bufio.Reader, line string) error {
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(c, line); err != nil {
		return err
	}
	answer, err := r.ReadString('\n')
	if err != nil {
		return err
	}
	fmt.Print(answer)
	return nil
}

func hold(args []string) error {
	c, err := net.DialTimeout("tcp", args[0], dialTimeout)
	if err != nil {
		return err
	}
	defer c.Close()
	r := bufio.NewReader(c)
	for i := 0; ; i++ {
		if err := exchange(c, r, strconv.Itoa(i)); err != nil {
			return fmt.Errorf("lost after %d: %w", i, err)
		}
		time.Sleep(20 * time.Millisecond) // the pace of the traffic
	}
}

// forge sends datagrams with the source address SRC for a second.
func forge(args []string) error {
	src, dst := netip.MustParseAddr(args[0]), netip.MustParseAddr(args[1])
	port, err := strconv.ParseUint(args[2], 10, 16)
	if err != nil {
		return err
	}
	build := datagram6
	if dst.Is4() {
		build = datagram
	}
	return sendRaw(build(src, dst, uint16(port), "forged"), dst, 10)
}

// sendRaw sends an IP packet several times, with a tenth of a second after each.
func sendRaw(packet []byte, dst netip.Addr, times int) error {
	family, to := syscall.AF_INET6, syscall.Sockaddr(&syscall.SockaddrInet6{Addr: dst.As16()})
	if dst.Is4() {
		family, to = syscall.AF_INET, &syscall.SockaddrInet4{Addr: dst.As4()}
	}
	fd, err := syscall.Socket(family, syscall.SOCK_RAW, syscall.IPPROTO_RAW)
	if err != nil {
		return fmt.Errorf("raw socket: %w", err)
	}
	defer syscall.Close(fd)
	for range times {
		if err := syscall.Sendto(fd, packet, 0, to); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	return nil
}

// segment returns a UDP datagram (RFC 768) from and to a port, without a checksum.
func segment(port uint16, payload string) []byte {
	b := binary.BigEndian.AppendUint16(nil, port)
	b = binary.BigEndian.AppendUint16(b, port)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	return append(append(b, 0, 0), payload...)
}

// datagram returns an IPv4 packet (RFC 791) with a UDP datagram. The kernel fills in the checksum and
// identification of the IP header.
func datagram(src, dst netip.Addr, port uint16, payload string) []byte {
	udp := segment(port, payload)
	ip := make([]byte, 20, 20+len(udp))
	ip[0] = 4<<4 | 5 // version 4, a header of five words
	binary.BigEndian.PutUint16(ip[2:], uint16(cap(ip)))
	ip[8], ip[9] = 64, syscall.IPPROTO_UDP
	copy(ip[12:], src.AsSlice())
	copy(ip[16:], dst.AsSlice())
	return append(ip, udp...)
}

// datagram6 returns an IPv6 packet (RFC 8200) with a UDP datagram and its checksum, which IPv6
// requires.
func datagram6(src, dst netip.Addr, port uint16, payload string) []byte {
	udp := segment(port, payload)
	ip := make([]byte, 40, 40+len(udp))
	ip[0] = 6 << 4
	binary.BigEndian.PutUint16(ip[4:], uint16(len(udp)))
	ip[6], ip[7] = syscall.IPPROTO_UDP, 64
	copy(ip[8:], src.AsSlice())
	copy(ip[24:], dst.AsSlice())
	sum := uint32(len(udp)) + syscall.IPPROTO_UDP
	for covered := slices.Concat(ip[8:], udp); len(covered) > 0; covered = covered[2:] { // the length is even
		sum += uint32(binary.BigEndian.Uint16(covered))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(udp[6:], ^uint16(sum))
	return append(ip, udp...)
}

func catch(args []string) error {
	c, err := net.ListenPacket("udp", ":"+args[0])
	if err != nil {
		return err
	}
	buf := make([]byte, 2048)
	for {
		_, from, err := c.ReadFrom(buf)
		if err != nil {
			return err
		}
		fmt.Println(from.(*net.UDPAddr).IP)
	}
}

func remember(args []string) error {
	old, err := os.ReadFile(args[0])
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	now := slices.Concat(old, []byte("+"))
	if err := os.WriteFile(args[0], now, 0o600); err != nil {
		return err
	}
	fmt.Println("boot", len(now))
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
	return nil
}

package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"tombolo/test/chaos/flow"
)

const (
	pace        = 50 * time.Millisecond // between two exchanges of a flow
	redialAfter = 200 * time.Millisecond
	dialTimeout = 2 * time.Second
)

// serve never returns without an error.
func serve(host string) error {
	addr := ":" + strconv.Itoa(flow.Port)
	udp, err := net.ListenPacket("udp", addr)
	if err != nil {
		return err
	}
	tcp, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	go func() {
		for buf := make([]byte, 256); ; {
			n, from, err := udp.ReadFrom(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil { // otherwise an earlier answer was refused
				_, _ = udp.WriteTo([]byte(host+" "+string(buf[:n])), from)
			}
		}
	}()
	for {
		conn, err := tcp.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			for lines := bufio.NewScanner(conn); lines.Scan(); {
				if _, err := fmt.Fprintf(conn, "%s %s\n", host, lines.Text()); err != nil {
					return
				}
			}
		}()
	}
}

// keepConnection holds a TCP connection, and another one when that is lost. An exchange that nobody
// answers has no time limit: the kernel sends it again.
func keepConnection(addr string, update func(func(*flow.State))) {
	for ; ; time.Sleep(redialAfter) {
		conn, err := net.DialTimeout("tcp", addr, dialTimeout)
		if err != nil {
			continue // it is not established, so it is not lost
		}
		err = exchangeLines(conn, update)
		conn.Close()
		update(func(s *flow.State) {
			s.Lost = append(s.Lost, fmt.Sprintf("%s to %s: %v", time.Now().Format("15:04:05.000"), s.To, err))
		})
	}
}

func exchangeLines(conn net.Conn, update func(func(*flow.State))) error {
	answers := bufio.NewReader(conn)
	for i := 0; ; i++ {
		began := time.Now()
		if _, err := fmt.Fprintln(conn, i); err != nil {
			return err
		}
		line, err := answers.ReadString('\n')
		if err != nil {
			return err
		}
		host, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if rest != strconv.Itoa(i) {
			return fmt.Errorf("%q answers the line %d", line, i)
		}
		update(func(s *flow.State) { s.To, s.Began = host, began })
		time.Sleep(pace)
	}
}

// forgetAfter is the time without an answer after which the name is looked up anew: the server may
// have another address, because its host was killed. It is longer than all other faults may take,
// so that a flow that the kernel leads astray for ever is noticed.
const forgetAfter = 12 * time.Second

// keepDatagrams sends datagrams from one port at its pace, whether they are answered or not.
func keepDatagrams(addr string, update func(func(*flow.State))) {
	for ; ; time.Sleep(redialAfter) {
		conn, err := net.DialTimeout("udp", addr, dialTimeout)
		if err != nil {
			continue // the name does not resolve yet
		}
		exchangeDatagrams(conn, update)
		conn.Close()
	}
}

// exchangeDatagrams returns when nothing was answered for some time.
func exchangeDatagrams(conn net.Conn, update func(func(*flow.State))) {
	var sent sendTimes
	go func() {
		for buf := make([]byte, 256); ; {
			n, err := conn.Read(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			host, number, _ := strings.Cut(string(buf[:n]), " ") // nothing, if a datagram was refused
			if began, ok := sent.answered(number); ok {
				update(func(s *flow.State) { s.To, s.Began = host, began })
			}
		}
	}()
	for i := 0; sent.note(i); i++ {
		_, _ = fmt.Fprint(conn, i)
		time.Sleep(pace)
	}
}

// sendTimes remembers when the latest datagrams were sent.
type sendTimes struct {
	mu     sync.Mutex
	times  [300]time.Time // by number modulo the length
	last   int
	answer time.Time // when the last answer, or the first datagram, was seen
}

// note is called before a datagram is sent. It reports whether to go on.
func (s *sendTimes) note(number int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if number == 0 {
		s.answer = now
	}
	s.times[number%len(s.times)], s.last = now, number
	return now.Sub(s.answer) < forgetAfter
}

// answered returns when the datagram was sent that is answered now.
func (s *sendTimes) answered(number string) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 || n > s.last || n <= s.last-len(s.times) {
		return time.Time{}, false
	}
	s.answer = time.Now()
	return s.times[n%len(s.times)], true
}

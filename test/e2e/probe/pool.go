package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

// pooled is a connection that a client keeps. Nothing but the network tells it that the connection
// is lost: its own time limit is far longer than the tests wait.
type pooled struct {
	to   string
	conn net.Conn
	in   *bufio.Reader
}

const poolLimit = time.Minute

// who returns the server's name. It dials if no connection is open, and closes one that breaks.
func (p *pooled) who() (name string, err error) {
	if p.conn == nil {
		c, err := net.DialTimeout("tcp", p.to, poolLimit)
		if err != nil {
			return "", err
		}
		p.conn, p.in = c, bufio.NewReader(c)
	}
	if name, err = p.ask(); err != nil {
		p.conn.Close()
		p.conn = nil
	}
	return name, err
}

func (p *pooled) ask() (string, error) {
	if err := p.conn.SetDeadline(time.Now().Add(poolLimit)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintln(p.conn, "who"); err != nil {
		return "", err
	}
	answer, err := p.in.ReadString('\n')
	name, _, _ := strings.Cut(answer, ":")
	return name, err
}

// pool keeps a connection busy and opens another one when it breaks. It prints, when it opens the
// first one and after each loss: the server's name, the time, how long there was no answer,
// the longest time that one attempt took to fail, how that one failed, and how the first one failed.
func pool(args []string) error {
	p := pooled{to: args[0]}
	answered, slowest, reason, worst := time.Now(), time.Duration(0), "new", ""
	for first := true; ; first = false {
		began := time.Now()
		name, err := p.who()
		switch {
		case err != nil:
			if took := time.Since(began); took > slowest {
				slowest, worst = took, err.Error()
			}
			if reason == "" {
				reason = err.Error()
			}
			time.Sleep(5 * time.Millisecond) // the pace of the attempts
			continue
		case first || reason != "":
			fmt.Println(name, time.Now().UnixMicro(), time.Since(answered), slowest, worst+"; first: "+reason)
		}
		answered, slowest, reason, worst = time.Now(), 0, "", ""
		time.Sleep(20 * time.Millisecond) // the pace of the traffic
	}
}

// keep uses one connection whenever a line arrives on its standard input. It prints the server's
// name, or how the connection was lost; the next line then opens another one.
func keep(args []string) error {
	p := pooled{to: args[0]}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		began := time.Now()
		name, err := p.who()
		if err != nil {
			name = "lost: " + err.Error()
		}
		fmt.Println(time.Since(began), name)
	}
	return nil
}

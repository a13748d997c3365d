package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
)

// nameserver answers queries for IPv4 addresses with 192.0.2.7, and others without data. It prints
// each name that it is asked for, and ends when its standard input does.
func nameserver(args []string) error {
	c, err := net.ListenPacket("udp", net.JoinHostPort(args[0], "53"))
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		c.Close()
	}()
	fmt.Println("ready")
	buf := make([]byte, 2048)
	for {
		n, from, err := c.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		if name, reply := answerTo(buf[:n]); reply != nil {
			fmt.Println("asked for", name)
			if _, err := c.WriteTo(reply, from); err != nil {
				return err
			}
		}
	}
}

// answerTo reads the question of a query (RFC 1035) and returns the reply, or nil if it is not a
// query.
func answerTo(q []byte) (name string, reply []byte) {
	at := 12
	var labels []string
	for at < len(q) && q[at] != 0 {
		end := at + 1 + int(q[at])
		if end > len(q) {
			return "", nil
		}
		labels = append(labels, string(q[at+1:end]))
		at = end
	}
	end := at + 5
	if end > len(q) {
		return "", nil
	}
	reply = append([]byte(nil), q[:end]...)
	reply[2], reply[3] = 0x81, 0x80
	copy(reply[4:], []byte{0, 1, 0, 0, 0, 0, 0, 0})
	if binary.BigEndian.Uint16(q[at+1:]) == 1 {
		reply[7] = 1
		reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 192, 0, 2, 7)
	}
	return strings.Join(labels, "."), reply
}

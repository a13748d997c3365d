package main

import (
	"fmt"
	"net"
	"time"
)

// stream sends from one port, whether or not anybody listens or refuses.
func stream(args []string) error {
	c, err := net.ListenPacket("udp", ":0")
	if err != nil {
		return err
	}
	to, err := net.ResolveUDPAddr("udp", args[0])
	if err != nil {
		return err
	}
	for ; ; time.Sleep(5 * time.Millisecond) { // the pace of the traffic
		_, _ = c.WriteTo([]byte("x"), to)
	}
}

// answer has answers on their way at all times while a stream arrives.
func answer(args []string) error {
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
		time.AfterFunc(100*time.Millisecond, func() { _, _ = c.WriteTo([]byte("late"), from) })
	}
}

// Command traffic runs in the containers of the chaos test.
//
//	traffic serve HOST                answers each line and each datagram with HOST and the line
//	traffic drive HOST FILE NAME...   keeps a TCP connection and a flow of datagrams to each instance
//	                                  NAME and several by the service's name, and writes their state to FILE
package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"tombolo/test/chaos/flow"
)

func main() {
	fmt.Println("traffic:", run(os.Args[1:]))
	os.Exit(1)
}

// run never returns without an error.
func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "serve":
		return serve(args[1])
	case len(args) > 3 && args[0] == "drive":
		return drive(args[1], args[2], args[3:])
	}
	return errors.New("usage: traffic serve HOST | traffic drive HOST FILE NAME, and more names")
}

// writeEvery is the time between two writes of the state.
const writeEvery = 20 * time.Millisecond

// byService is the number of TCP connections, and of flows of datagrams, by the service's name.
const byService = 2

// drive never returns without an error.
func drive(host, file string, servers []string) error {
	port := strconv.Itoa(flow.Port)
	var b board
	for _, name := range servers {
		b.start(flow.State{From: host}, net.JoinHostPort(name, port))
	}
	for range byService {
		b.start(flow.State{From: host, Service: true}, net.JoinHostPort(flow.Service, port))
	}
	for {
		if err := flow.Write(file, b.snapshot()); err != nil {
			return err
		}
		time.Sleep(writeEvery)
	}
}

// board has the state of all flows.
type board struct {
	mu    sync.Mutex
	flows []flow.State
}

func (b *board) snapshot() []flow.State {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]flow.State(nil), b.flows...)
}

// start starts a flow of each kind to addr.
func (b *board) start(s flow.State, addr string) {
	for network, keep := range map[string]func(string, func(func(*flow.State))){"tcp": keepConnection, "udp": keepDatagrams} {
		b.mu.Lock()
		s.Network = network
		index := len(b.flows)
		b.flows = append(b.flows, s)
		b.mu.Unlock()
		go keep(addr, func(change func(*flow.State)) {
			b.mu.Lock()
			defer b.mu.Unlock()
			change(&b.flows[index])
		})
	}
}

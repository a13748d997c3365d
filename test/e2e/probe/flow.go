package main

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// spread looks HOST up once and takes the first address in numeric order, as libcs do that
// sort addresses. It makes N connections, or flows of UDP from different ports, one after the
// other, and prints how many each server answered.
func spread(args []string) error {
	network, host, port := args[0], args[1], args[2]
	n, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	addrs, err := net.DefaultResolver.LookupNetIP(context.Background(), "ip"+network[len(network)-1:], host)
	if err != nil {
		return err
	}
	first := slices.MinFunc(addrs, netip.Addr.Compare).Unmap().String()
	answered := map[string]int{}
	for range n {
		began := time.Now()
		who, err := whoAnswers(network, net.JoinHostPort(first, port))
		if err != nil {
			return fmt.Errorf("after %v: %w", time.Since(began), err)
		}
		answered[who]++
	}
	for _, who := range slices.Sorted(maps.Keys(answered)) {
		fmt.Println(who, answered[who])
	}
	return nil
}

func whoAnswers(network, addr string) (string, error) {
	c, err := net.DialTimeout(network, addr, dialTimeout)
	if err != nil {
		return "", err
	}
	defer c.Close()
	return question(c)
}

// question asks for the server's name on a connection.
func question(c net.Conn) (string, error) {
	if err := c.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintln(c, "who"); err != nil {
		return "", err
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	who, _, _ := strings.Cut(answer, ":")
	return who, err
}

// talk sends datagrams from one socket forever, and prints who answered, or the error.
func talk(args []string) error {
	c, err := net.Dial("udp", args[0])
	if err != nil {
		return err
	}
	for ; ; time.Sleep(50 * time.Millisecond) { // the pace of the traffic
		who, err := question(c)
		if err != nil {
			who = err.Error()
		}
		fmt.Println(who)
	}
}

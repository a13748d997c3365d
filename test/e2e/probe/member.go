package main

import (
	"bufio"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// member serves on PORT. It makes the health check pass once N members with different host names,
// of which it may be one, have answered at the addresses of NAME.
func member(args []string) error {
	n, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	go func() {
		for met(args[1], args[0]) < n {
			time.Sleep(200 * time.Millisecond) // the pace of the search for others
		}
		if err := healthy(nil); err != nil {
			fmt.Println(err)
		}
		fmt.Println("the cluster has formed")
	}()
	return serve(args[:1])
}

// met returns how many members answer at the addresses of name.
func met(name, port string) int {
	addrs, err := net.LookupHost(name)
	if err != nil {
		return 0
	}
	members := map[string]bool{}
	for _, addr := range addrs {
		if who := greeted(net.JoinHostPort(addr, port)); who != "" {
			members[who] = true
		}
	}
	return len(members)
}

// greeted returns the host name of the member at addr, or "" if none answers.
func greeted(addr string) string {
	c, err := net.DialTimeout("tcp", addr, dialTimeout)
	if err != nil {
		return ""
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		return ""
	}
	fmt.Fprintln(c, "hello")
	answer, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return ""
	}
	who, _, _ := strings.Cut(answer, ":")
	return who
}

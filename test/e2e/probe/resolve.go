package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// resolve asks one server, over udp or tcp, for the IPv4 addresses of a name, or for the names of an
// address. It prints them sorted; "none" means that the server said that the name does not exist.
func resolve(args []string) error {
	server, network, name := args[0], args[1], args[2]
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server)
	}}
	answers, err := ask4(ctx, r, name)
	var failed *net.DNSError
	if errors.As(err, &failed) && failed.IsNotFound {
		answers, err = []string{"none"}, nil
	}
	if err != nil {
		return err
	}
	slices.Sort(answers)
	fmt.Println(strings.Join(answers, " "))
	return nil
}

func ask4(ctx context.Context, r *net.Resolver, name string) ([]string, error) {
	if _, err := netip.ParseAddr(name); err == nil {
		return r.LookupAddr(ctx, name)
	}
	addrs, err := r.LookupNetIP(ctx, "ip4", name)
	var texts []string
	for _, a := range addrs {
		texts = append(texts, a.Unmap().String())
	}
	return texts, err
}

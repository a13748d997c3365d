// Command coredns is CoreDNS with the hosts plugin and what it takes to listen: what
// the bench compares the DNS server with. It is a module of its own, so that what CoreDNS
// needs stays out of Tombolo's.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/hosts"
)

func main() {
	dnsserver.Directives = []string{"bind", "hosts"}
	coremain.Run()
}

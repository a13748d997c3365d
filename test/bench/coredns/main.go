// Command coredns is CoreDNS with the plugins hosts and bind. The bench compares our DNS server with
// it. It is a module of its own, so that its dependencies are not Tombolo's.
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

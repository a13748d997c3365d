package linker

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"tombolo/dns"
	"tombolo/dns/dnstest"
	"tombolo/linker/reach"
	"tombolo/linker/record"
)

// crowd returns two apps that may not reach each other, as the catalog has them.
func crowd() *record.Snapshot {
	s := &record.Snapshot{Endpoints: map[string]*record.Endpoint{}, Apps: map[string]*record.App{}}
	for i, name := range []string{"shop.web", "shop.db", "pay.api"} {
		app, service, _ := strings.Cut(name, ".")
		s.Endpoints[name] = &record.Endpoint{
			ID: name, Host: "h1", Container: strings.Repeat("abcdef0123456789", 4), App: app, Service: service, Slot: 1,
			Addr4:    netip.AddrFrom4([4]byte{100, 64, 0, byte(i + 2)}),
			Networks: map[string][]string{app + "_default": nil}, Running: true, Health: record.HealthNone,
		}
	}
	s.Apps["pay"] = &record.App{Name: "pay", Services: map[string]record.Service{
		"api": {Replicas: 2, Networks: map[string][]string{"pay_default": nil}}, "later": {Replicas: 1},
	}}
	return s
}

// Names that can only be ours reach no name server, in whichever spelling and with whichever type
// a container asks for them, and whether it may see them or not. The upstream counts.
func TestNamesOfOursAreNeverForwarded(t *testing.T) {
	view := reach.Of(crowd()).Names("shop.web")
	up := &dnstest.Upstream{}
	ask := startDNS(t, &view, up)

	anyones := []string{ // ours whether or not the service exists
		"NAME", "NAME-1", "NAME-77", "APP-NAME-1", "APP_NAME_1", "APP-NAME-77", "APP_NAME_77", "_80._tcp.NAME", "_tcp.NAME", "_x._y._z.NAME",
		"NAME.APP.tombolo.internal", "tasks.NAME.APP.tombolo.internal", "9.NAME.APP.tombolo.internal", "NAME.tombolo.internal", "APP.tombolo.internal",
	}
	services := []string{"tasks.NAME", "1.NAME", "2.NAME", "77.NAME", "_http._tcp.tasks.NAME", "_http._udp.1.NAME", "_tcp.tasks.NAME", "_x._y._z.77.NAME"}
	var names []string
	for _, service := range []string{"shop.web", "shop.db", "pay.api", "pay.later", "nobody.nothing"} {
		forms := anyones
		if service != "nobody.nothing" {
			forms = slices.Concat(anyones, services)
		}
		app, name, _ := strings.Cut(service, ".")
		for _, form := range forms {
			names = append(names, strings.NewReplacer("NAME", name, "APP", app).Replace(form))
		}
	}
	names = append(names, "abcdef012345", "tombolo.internal", "h9.host.tombolo.internal", "9.9.127.100.in-addr.arpa", "2.0.64.100.in-addr.arpa", "com", "localhost")
	for _, name := range names {
		for _, spelled := range []string{name, strings.ToUpper(name)} {
			for _, qtype := range []uint16{mdns.TypeA, mdns.TypeAAAA, mdns.TypeSRV, mdns.TypePTR, mdns.TypeTXT, mdns.TypeHTTPS} {
				r := ask("udp", spelled, qtype)
				if r.Rcode != mdns.RcodeSuccess && r.Rcode != mdns.RcodeNameError {
					t.Errorf("%s %s is answered with %s, want an answer or NXDOMAIN", spelled, mdns.TypeToString[qtype], mdns.RcodeToString[r.Rcode])
				}
				if secret := len(r.Answer) > 0 && (strings.Contains(name, "pay") || strings.Contains(name, "api") || strings.Contains(name, "later")); secret {
					t.Errorf("%s, which is outside of the view, is answered with %v", spelled, r.Answer)
				}
			}
		}
		ask("tcp", name, mdns.TypeA)
	}
	if asked := up.Asked(); len(asked) > 0 {
		slices.Sort(asked)
		t.Errorf("the name server was asked for %v, want no name of ours", slices.Compact(asked))
	}
	ask("udp", "tasks.example.org", mdns.TypeA) // the upstream counts indeed
	if asked := up.Asked(); len(asked) != 1 {
		t.Errorf("the name server was asked for %v, want tasks.example.org", asked)
	}
}

// startDNS runs a server whose only asker is this machine. It returns a function that asks it.
func startDNS(t *testing.T, view *record.View, up dns.Upstream) (ask func(network, name string, qtype uint16) *mdns.Msg) {
	t.Helper()
	local := netip.MustParseAddr("127.0.0.1")
	sockets, err := dns.Listen(t.Context(), netip.AddrPortFrom(local, 0))
	if err != nil {
		t.Fatal(err)
	}
	addr := sockets.Addr().String()
	zone := dns.Zone{Name: "tombolo.internal", Pools: []netip.Prefix{netip.MustParsePrefix("100.64.0.0/10")}}
	server := dns.New(dns.Config{Sockets: []*dns.Sockets{sockets}, Zone: zone, Viewer: dnstest.Views{local: view}, Upstream: up})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the server ended: %v", err)
		}
	})
	return func(network, name string, qtype uint16) *mdns.Msg {
		t.Helper()
		client := &mdns.Client{Net: network, Timeout: 5 * time.Second, Dialer: &net.Dialer{Timeout: 5 * time.Second}}
		r, _, err := client.Exchange(new(mdns.Msg).SetQuestion(mdns.Fqdn(name), qtype), addr)
		if err != nil {
			t.Fatalf("ask for %s over %s: %v", name, network, err)
		}
		return r
	}
}

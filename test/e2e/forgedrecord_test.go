package e2e

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"tombolo/linker/api"
	"tombolo/linker/ipam"
	"tombolo/linker/record"
)

// A stranger on the network of the hosts, whose gossip has no key here, writes the records of a host
// and of a container of the app shop. The container's address is that of an unrelated one. This
// gives that one no permission and no name, and the status names the forged record.
func TestForgedRecordsGiveNoPermission(t *testing.T) {
	db := start(t, 0, spec{app: "shop", service: "db", args: []string{"serve", "5432"}})
	web := start(t, 1, spec{app: "shop", service: "web", args: []string{"serve", "80"}})
	stranger := start(t, 2, spec{app: "stranger", service: "tool", args: []string{"serve", "80"}})
	web.reaches(t, "db:5432")
	stranger.reaches(t, "tool:80")

	client := api.NewClient(db.host.LinkerSocket())
	defer client.Close()
	snap, err := client.Catalog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	block4 := freeBlock(snap)
	host := record.Record{Key: record.Key{Kind: record.KindHost, Name: "evil"}, Owner: "evil", Version: record.Version{Epoch: 1, Seq: 1},
		Host: &record.Host{Name: "evil", Underlay: netip.MustParseAddr("198.18.0.250"), Block4: block4, Overlay4: ipam.HostAddr(block4), Hold: record.HoldSettled}}
	endpoint := record.Record{Key: record.Key{Kind: record.KindEndpoint, Name: "forged"}, Owner: "evil", Version: record.Version{Epoch: 1, Seq: 2},
		Endpoint: &record.Endpoint{
			ID: "forged", Host: "evil", App: "shop", Service: "forged", ContainerName: "forged", Addr4: netip.MustParseAddr(stranger.address(t)),
			Networks: map[string][]string{"shop_default": nil}, Running: true, Health: record.HealthNone,
		}}
	inject(t, host, endpoint)
	t.Cleanup(func() {
		for _, r := range []*record.Record{&host, &endpoint} {
			r.Version.Seq, r.Deleted, r.Host, r.Endpoint = 9, true, nil, nil
		}
		inject(t, host, endpoint)
	})
	within(t, func(ctx context.Context) error {
		s, err := client.Status(ctx)
		if want := "host evil announces service forged of app shop (container forged) at " + stranger.address(t); err == nil && !strings.Contains(fmt.Sprint(s.Problems), want) {
			err = fmt.Errorf("the status of %s has the problems %q, want one that says %q", db.host.Name, s.Problems, want)
		}
		return err
	})
	stranger.refuses(t, db.address(t)+":5432")
	web.refuses(t, "forged:80")
	web.refuses(t, stranger.address(t)+":80")
	web.reaches(t, "db:5432")
}

// A stranger who writes gossip as the host evil uses the ID of a container of another host, in a
// version that no restart of that host reaches, and then deletes the record. The container keeps
// its name, its address and its permissions on every host.
func TestNobodyReplacesTheRecordOfAContainer(t *testing.T) {
	db := start(t, 0, spec{app: "shop", service: "db", args: []string{"serve", "5432"}})
	web := start(t, 1, spec{app: "shop", service: "web", args: []string{"serve", "80"}})
	web.reaches(t, "db:5432")

	client := api.NewClient(web.host.LinkerSocket())
	defer client.Close()
	snap, err := client.Catalog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var id string
	for _, ep := range snap.Endpoints {
		if ep.Addr4.String() == db.address(t) {
			id = ep.ID
		}
	}
	if id == "" {
		t.Fatalf("no record has the address %s", db.address(t))
	}
	forged := record.Record{Key: record.Key{Kind: record.KindEndpoint, Name: id}, Owner: "evil", Version: record.Version{Epoch: record.MaxEpoch, Seq: 1},
		Endpoint: &record.Endpoint{ID: id, Host: "evil", App: "evil", Service: "db", Health: record.HealthNone}}
	t.Cleanup(func() {
		forged.Version.Seq, forged.Deleted, forged.Endpoint = 9, true, nil
		inject(t, forged)
	})
	for _, what := range []string{"put", "deleted"} {
		inject(t, forged)
		within(t, func(ctx context.Context) error {
			s, err := client.Catalog(ctx)
			if known := s != nil && s.Endpoints[record.EndpointKey("evil", id)] != nil; err == nil && known != (what == "put") {
				err = fmt.Errorf("%s has not seen yet that the forged record was %s", web.host.Name, what)
			}
			return err
		})
		for _, h := range testLab.Hosts {
			c := api.NewClient(h.LinkerSocket())
			s, err := c.Catalog(t.Context())
			c.Close()
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(slices.Collect(maps.Values(s.Endpoints)), func(ep *record.Endpoint) bool {
				return ep.ID == id && ep.App == "shop" && ep.Addr4.String() == db.address(t)
			}) {
				t.Errorf("%s lacks the container's record after the forged one was %s", h.Name, what)
			}
		}
		web.reaches(t, "db:5432")
		forged.Version.Seq, forged.Deleted, forged.Endpoint = forged.Version.Seq+1, true, nil
	}
}

// freeBlock returns a block that no host has, outside of the range of service addresses.
func freeBlock(s *record.Snapshot) netip.Prefix {
	for n := byte(1); ; n++ {
		block := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 65, n, 0}), 24)
		taken := false
		for _, h := range s.Hosts {
			taken = taken || h.Block4.Overlaps(block)
		}
		if !taken {
			return block
		}
	}
}

// inject sends records to every host, as a member of the gossip without a key would: memberlist's
// label, a user message, one packet.
func inject(t *testing.T, records ...record.Record) {
	t.Helper()
	for _, r := range records {
		packet, err := record.Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range testLab.Hosts {
			send(t, "udp", h.Underlay.String()+":7980", append([]byte("\xf4\x07tombolo\x08\x01"), packet...))
		}
	}
}

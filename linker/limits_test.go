package linker

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"tombolo/linker/catalog"
	"tombolo/linker/record"
)

// A member of the gossip announces more containers than a host can have. The linker names it, and
// everything else goes on.
func TestAHostThatFloodsTheCatalogIsNamed(t *testing.T) {
	h := newTestHost(t, 25)
	h.start(t)
	h.awaitBlock(t)
	evil := attacker(t, h)
	for i := range catalog.MaxRecordsHost + 20 {
		id := fmt.Sprint("e", i)
		if _, err := evil.Put(record.Record{Key: record.Key{Kind: record.KindEndpoint, Name: id}, Endpoint: &record.Endpoint{
			ID: id, Host: "evil", Addr4: netip.MustParseAddr("100.64.200.9"),
		}}); err != nil {
			t.Fatal(err)
		}
	}
	c := h.client(t)
	eventually(t, "the status names the host and counts what was refused", func() bool {
		s, err := c.Status(t.Context())
		return err == nil && s.Ready && s.Counters["catalog.refused"] > 0 &&
			strings.Contains(fmt.Sprint(s.Problems), "limit-reached: host evil: limit of the catalog: more than 1024 records of one host")
	})
	web := h.run(t, "web", labels("web"))
	eventually(t, "a container of this host is announced", func() bool {
		ep := h.localEndpoint(web)
		return ep != nil && ep.Running
	})
	if n := len(h.catalog.Snapshot().Endpoints); n > catalog.MaxRecordsHost+1 {
		t.Errorf("the catalog has %d endpoints, want at most %d of evil and one of this host", n, catalog.MaxRecordsHost)
	}
	h.stop()
}

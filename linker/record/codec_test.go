package record_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"tombolo/linker/record"
	"tombolo/linker/record/recordtest"
)

var exact = cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})

func TestDecodeReversesEncode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := recordtest.Any().Draw(t, "record")
		b, err := record.Encode(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := record.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got, exact); d != "" {
			t.Fatalf("record after Encode and Decode (-before +after):\n%s", d)
		}
		cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut")
		if r, err := record.Decode(b[:cut]); err == nil {
			t.Fatalf("the first %d of %d bytes were decoded to %+v, want an error", cut, len(b), r)
		}
		if _, err := record.Decode(append(b, 0)); err == nil {
			t.Fatal("a zero byte after the record is accepted: no field has the number 0")
		}
	})
}

// typical returns an endpoint of the framework with more of everything than most have.
func typical() record.Record {
	id := strings.Repeat("0123456789abcdef", 4)
	return record.Record{
		Key: record.Key{Kind: record.KindEndpoint, Name: id}, Owner: "agent-17",
		Version: record.Version{Epoch: 1764000000, Seq: 4711},
		Endpoint: &record.Endpoint{
			ID: id, Host: "agent-17", Container: strings.Repeat("fedcba9876543210", 4),
			ContainerName: "guestbook-web-2", Hostname: "web-2",
			Addr4: netip.MustParseAddr("100.64.17.33"), Addr6: netip.MustParseAddr("fd12:3456:789a::11:21"),
			App: "guestbook", Service: "web", Slot: 2, Generation: 12, Task: "guestbook.web.2.g12",
			Networks: map[string][]string{
				"guestbook_default": {"www", "frontend"}, "guestbook_back": {"app"}, "shared-metrics": {"guestbook-web"},
			},
			Links:     []record.Link{{Service: "db", Alias: "database"}, {Service: "cache", Alias: "redis"}, {App: "billing", Service: "api"}},
			Export:    &record.Export{To: []string{"monitoring"}},
			Ports:     []record.Port{{Name: "http", Number: 8080, Proto: "tcp"}, {Name: "metrics", Number: 9090, Proto: "tcp"}},
			Published: []record.PublishedPort{{HostPort: 80, Port: 8080, Proto: "tcp"}},
			Running:   true, Health: record.HealthHealthy, Started: time.Unix(1764000000, 5).UTC(),
		},
	}
}

func TestThreeEndpointsFitIntoAGossipPacket(t *testing.T) {
	b, err := record.Encode(typical())
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 450 {
		t.Errorf("a typical endpoint takes %d bytes, want at most 450, so that a packet of 1,400 carries three", len(b))
	}
}

func TestEncodeRefusesRecordsThatFailCheck(t *testing.T) {
	tests := map[string]struct {
		change func(*record.Record)
		want   string
	}{
		"no content":             {func(r *record.Record) { r.Endpoint = nil }, "content does not fit"},
		"tombstone with content": {func(r *record.Record) { r.Deleted = true }, "a tombstone has no content"},
		"two contents":           {func(r *record.Record) { r.App = &record.App{} }, "content does not fit"},
		"unknown kind":           {func(r *record.Record) { r.Kind = "x" }, `unknown kind "x"`},
		"no owner":               {func(r *record.Record) { r.Owner = "" }, "no owner"},
		"no name":                {func(r *record.Record) { r.Name = "" }, "no name"},
		"owned by another host":  {func(r *record.Record) { r.Owner = "agent-18" }, `owned by "agent-18"`},
		"service without an app": {func(r *record.Record) { r.Endpoint.App = "" }, "a service without an app"},
		"upper case":             {func(r *record.Record) { r.Endpoint.App = "Shop" }, "not in lower case"},
		"long service":           {func(r *record.Record) { r.Endpoint.Service = strings.Repeat("a", 64) }, "at most 63"},
		"negative slot":          {func(r *record.Record) { r.Endpoint.Slot = -1 }, "slot -1"},
		"IPv6 address as IPv4":   {func(r *record.Record) { r.Endpoint.Addr4 = r.Endpoint.Addr6 }, "wrong family"},
		"mapped IPv4 address":    {func(r *record.Record) { r.Endpoint.Addr6 = netip.MustParseAddr("::ffff:1.2.3.4") }, "wrong family"},
		"proto":                  {func(r *record.Record) { r.Endpoint.Ports[0].Proto = "icmp" }, `protocol "icmp"`},
		"port 0":                 {func(r *record.Record) { r.Endpoint.Ports[0].Number = 0 }, "port 0"},
		"published port 0":       {func(r *record.Record) { r.Endpoint.Published[0].HostPort = 0 }, "published port 0"},
		"health":                 {func(r *record.Record) { r.Endpoint.Health = "ill" }, `unknown health "ill"`},
		"network":                {func(r *record.Record) { r.Endpoint.Networks[""] = nil }, "without a name"},
		"alias":                  {func(r *record.Record) { r.Endpoint.Networks["n"] = []string{"a b"} }, "alias"},
		"link":                   {func(r *record.Record) { r.Endpoint.Links[0].Service = "" }, "link: empty"},
		"export":                 {func(r *record.Record) { r.Endpoint.Export.To[0] = "-" }, "export"},
		"task":                   {func(r *record.Record) { r.Endpoint.Task = "a\nb" }, "control character"},
		"year 10000":             {func(r *record.Record) { r.Endpoint.Started = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, "time out of range"},
		"many links":             {func(r *record.Record) { r.Endpoint.Links = make([]record.Link, 1025) }, "at most 1024"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := typical()
			tt.change(&r)
			if _, err := record.Encode(r); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Encode returned %v, want an error that says %q", err, tt.want)
			}
		})
	}
}

// A host's troubles are shown to people, and travel with every change of its record.
func TestAddressesOfAHostAreBounded(t *testing.T) {
	good := netip.MustParseAddr("203.0.113.17")
	for name, tt := range map[string]struct {
		addresses []netip.Addr
		want      string
	}{
		"too many addresses": {slices.Repeat([]netip.Addr{good}, record.MaxAddresses+1), "9 addresses: at most 8"},
		"no address":         {[]netip.Addr{good, {}}, "no plain address"},
		"a zone":             {[]netip.Addr{netip.MustParseAddr("fe80::1%eth0")}, "no plain address"},
		"IPv4 within IPv6":   {[]netip.Addr{netip.MustParseAddr("::ffff:203.0.113.17")}, "no plain address"},
	} {
		t.Run(name, func(t *testing.T) {
			h := record.Host{Name: "h1", Underlay: netip.MustParseAddr("198.18.0.1"), Addresses: tt.addresses}
			r := record.Record{Key: record.Key{Kind: record.KindHost, Name: "h1"}, Owner: "h1", Version: record.Version{Epoch: 1}, Host: &h}
			if err := r.Check(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Check returned %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestTroublesOfAHostAreBounded(t *testing.T) {
	for name, tt := range map[string]struct {
		host record.Host
		want string
	}{
		"too many troubles":   {record.Host{Troubles: make([]string, record.MaxTroubles+1)}, "4 troubles: at most 3"},
		"a long trouble":      {record.Host{Troubles: []string{strings.Repeat("a", record.MaxTrouble+1)}}, "at most 240"},
		"a control character": {record.Host{Troubles: []string{"a\x1b[31m"}}, "control character"},
		"a huge MTU":          {record.Host{MTU: 65536}, "MTU 65536"},
	} {
		tt.host.Name = "h1"
		_, err := record.Encode(record.Record{Key: record.Key{Kind: record.KindHost, Name: "h1"}, Owner: "h1", Host: &tt.host})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: Encode returned %v, want an error that says %q", name, err, tt.want)
		}
	}
}

func TestDecodeRefusesMalformedBytes(t *testing.T) {
	name := []byte{0x12, 1, 'x'} // field 2, of one byte
	tests := map[string][]byte{
		"empty":                   {},
		"no kind":                 name,
		"no name":                 {0x08, 2},
		"no content":              append([]byte{0x08, 2, 0x22, 1, 'h'}, name...),
		"a length beyond the end": {0x08, 2, 0x12, 0xfe, 0xff, 0xff, 0xff, 0x0f},
		"an endless number":       {0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"not protobuf":            []byte("garbage"),
		"too large":               make([]byte, record.MaxEncoded+1),
	}
	for name, b := range tests {
		t.Run(name, func(t *testing.T) {
			if r, err := record.Decode(b); err == nil {
				t.Errorf("the bytes were decoded to %+v, want an error", r)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	for i := range 20 {
		b, err := record.Encode(recordtest.Any().Example(i))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := record.Decode(b)
		if err != nil || !r.Kind.Known() {
			return // records of a newer version are passed on as they were received, and never encoded
		}
		again, err := record.Encode(r)
		if err != nil {
			t.Fatalf("a decoded record cannot be encoded again: %v", err)
		}
		r2, err := record.Decode(again)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(r, r2, exact, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("record after Encode and Decode (-before +after):\n%s", d)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	r := typical()
	for b.Loop() {
		if _, err := record.Encode(r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	packet, err := record.Encode(typical())
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(packet)))
	for b.Loop() {
		if _, err := record.Decode(packet); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleFromLabels() {
	e, err := record.FromLabels(map[string]string{
		record.LabelApp:      "shop",
		record.LabelService:  "web",
		record.LabelSlot:     "2",
		record.LabelNetworks: `{"shop_default":["www"]}`,
		record.LabelLinks:    `[{"service":"db","alias":"store"}]`,
	})
	fmt.Println(e.App, e.Service, e.Slot, e.Networks, e.Links, err)
	// Output: shop web 2 map[shop_default:[www]] [{ db store}] <nil>
}

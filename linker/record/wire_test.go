package record_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"tombolo/linker/record"
	"tombolo/linker/record/recordpb"
)

var update = flag.Bool("update", false, "write the golden files of new records anew")

func samples() map[string]record.Record {
	claimed := time.Unix(1764000000, 5000000).UTC()
	return map[string]record.Record{
		"endpoint": typical(),
		"host": {
			Key: record.Key{Kind: record.KindHost, Name: "agent-17"}, Owner: "agent-17",
			Version: record.Version{Epoch: 1764000000, Seq: 3},
			Host: &record.Host{
				Name: "agent-17", Underlay: netip.MustParseAddr("198.18.0.17"),
				Block4: netip.MustParsePrefix("100.64.17.0/24"), Block6: netip.MustParsePrefix("fd12:3456:789a::11:0/112"),
				Overlay4: netip.MustParseAddr("100.64.17.1"), Overlay6: netip.MustParseAddr("fd12:3456:789a::11:1"),
				MAC: "02:42:64:40:11:01", Claimed: claimed, Hold: record.HoldUsed, Restarting: time.Minute,
			},
		},
		"host-in-trouble": {
			Key: record.Key{Kind: record.KindHost, Name: "agent-17"}, Owner: "agent-17",
			Version: record.Version{Epoch: 1764000000, Seq: 4},
			Host: &record.Host{
				Name: "agent-17", Underlay: netip.MustParseAddr("198.18.0.17"), MTU: 1450,
				Troubles: []string{"reach: nothing passes to agent-18"},
			},
		},
		"host-with-identity": {
			Key: record.Key{Kind: record.KindHost, Name: "k3hq7x2mzt5wvb4c"}, Owner: "k3hq7x2mzt5wvb4c",
			Version: record.Version{Epoch: 1764000000, Seq: 5},
			Host:    &record.Host{ID: "k3hq7x2mzt5wvb4c", Name: "agent-17", Version: "0.3.0", Underlay: netip.MustParseAddr("198.18.0.17")},
		},
		"host-with-addresses": {
			Key: record.Key{Kind: record.KindHost, Name: "agent-17"}, Owner: "agent-17",
			Version: record.Version{Epoch: 1764000000, Seq: 5},
			Host: &record.Host{
				Name: "agent-17", Underlay: netip.MustParseAddr("198.18.0.17"),
				Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.17"), netip.MustParseAddr("2001:db8::17")},
			},
		},
		"forgotten": {
			Key: record.Key{Kind: record.KindForgotten, Name: "k3hq7x2mzt5wvb4c"}, Owner: "agent-18",
			Version: record.Version{Epoch: 1764000000, Seq: 6}, Forgotten: &record.Forgotten{Name: "agent-17"},
		},
		"app": {
			Key: record.Key{Kind: record.KindApp, Name: "shop"}, Owner: "0f9c-0001", Version: record.Version{Epoch: 7, Seq: 9},
			App: &record.App{Name: "shop", Revision: 4, Strict: true, Services: map[string]record.Service{
				"db": {
					Networks: map[string][]string{"shop_default": {"store"}}, Export: &record.Export{},
					Ports: []record.Port{{Number: 5432, Proto: "tcp"}}, Replicas: 2, Generations: map[int]uint64{1: 3, 2: 4},
					Drained: []int{2}, ContainerName: "the_db", Hostname: "db.example",
				},
				"web": {Links: []record.Link{{Service: "db", Alias: "database"}}, Replicas: 1},
			}},
		},
		"dnsrr-endpoint": {
			Key: record.Key{Kind: record.KindEndpoint, Name: "e1"}, Owner: "h1", Version: record.Version{Epoch: 7, Seq: 11},
			Endpoint: &record.Endpoint{
				ID: "e1", Host: "h1", Container: "c1", Addr4: netip.MustParseAddr("100.64.1.2"), App: "shop", Service: "db", Slot: 1,
				DNSRR: true, Running: true, Health: record.HealthStarting,
			},
		},
		"dnsrr-app": {
			Key: record.Key{Kind: record.KindApp, Name: "shop"}, Owner: "0f9c-0001", Version: record.Version{Epoch: 7, Seq: 12},
			App: &record.App{Name: "shop", Revision: 5, Services: map[string]record.Service{"db": {Replicas: 3, DNSRR: true}}},
		},
		"ingress-app": {
			Key: record.Key{Kind: record.KindApp, Name: "shop"}, Owner: "0f9c-0001", Version: record.Version{Epoch: 7, Seq: 13},
			App: &record.App{Name: "shop", Revision: 6, Services: map[string]record.Service{"web": {Replicas: 1, Ingress: []record.PublishedPort{
				{HostPort: 8080, Port: 80, Proto: "tcp"},
				{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: 5353, Port: 53, Proto: "udp"},
			}}}},
		},
		"tombstone": {
			Key: record.Key{Kind: record.KindApp, Name: "shop"}, Owner: "0f9c-0001",
			Version: record.Version{Epoch: 7, Seq: 10}, Deleted: true,
		},
	}
}

// golden is a record and its bytes, readable.
type golden struct {
	Record record.Record `json:"record"`
	Wire   []string      `json:"wire"` // hexadecimal, 32 bytes a line
}

// The bytes of the golden files were written by earlier versions: this version reads
// them, and writes the same ones.
func TestWireFormKeepsItsMeaning(t *testing.T) {
	for name, sample := range samples() {
		t.Run(name, func(t *testing.T) {
			wire, err := record.Encode(sample)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", name+".json")
			if *update {
				writeGolden(t, file, golden{Record: sample, Wire: lines(wire)})
			}
			var want golden
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(b, &want); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want.Wire, lines(wire)); d != "" {
				t.Errorf("%s is encoded differently than by earlier versions (-earlier +now):\n%s", name, d)
			}
			old, err := hex.DecodeString(strings.Join(want.Wire, ""))
			if err != nil {
				t.Fatal(err)
			}
			got, err := record.Decode(old)
			if err != nil {
				t.Fatalf("the bytes of an earlier version are refused: %v", err)
			}
			if d := cmp.Diff(want.Record, got, exact); d != "" {
				t.Errorf("the bytes of an earlier version mean something else (-earlier +now):\n%s", d)
			}
		})
	}
}

// Earlier versions told when a host claimed its block and until when it restarts, by its own
// clock. No clock decides any more: the block counts as settled, and the restart lasts as long
// as it did by default.
func TestTimesOfEarlierVersionsAreNotInterpreted(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "host-with-times.json"))
	if err != nil {
		t.Fatal(err)
	}
	var earlier golden
	if err := json.Unmarshal(b, &earlier); err != nil {
		t.Fatal(err)
	}
	wire, err := hex.DecodeString(strings.Join(earlier.Wire, ""))
	if err != nil {
		t.Fatal(err)
	}
	got, err := record.Decode(wire)
	if err != nil {
		t.Fatalf("the bytes of an earlier version are refused: %v", err)
	}
	if d := cmp.Diff(earlier.Record, got, exact); d != "" {
		t.Errorf("the bytes of an earlier version mean something else (-earlier +now):\n%s", d)
	}
}

func writeGolden(t *testing.T, file string, g golden) {
	t.Helper()
	b, err := json.MarshalIndent(g, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

func lines(wire []byte) (out []string) {
	for len(wire) > 32 {
		out, wire = append(out, hex.EncodeToString(wire[:32])), wire[32:]
	}
	return append(out, hex.EncodeToString(wire))
}

// TestNewerVersionsAreUnderstood decodes records as a newer version might write them.
func TestNewerVersionsAreUnderstood(t *testing.T) {
	wire, err := record.Encode(typical())
	if err != nil {
		t.Fatal(err)
	}
	var m recordpb.Record
	if err := proto.Unmarshal(wire, &m); err != nil {
		t.Fatal(err)
	}
	change := func(fn func(*recordpb.Record)) []byte {
		next := proto.Clone(&m).(*recordpb.Record)
		fn(next)
		b, err := proto.Marshal(next)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	newField := protowire.AppendString(protowire.AppendTag(nil, 1000, protowire.BytesType), "news")
	tests := map[string]struct {
		wire []byte
		want func(*record.Record)
	}{
		"a field of the record is ignored": {bytes.Join([][]byte{wire, newField}, nil), func(*record.Record) {}},
		"a field of the endpoint is ignored": {
			change(func(m *recordpb.Record) { m.GetEndpoint().ProtoReflect().SetUnknown(newField) }), func(*record.Record) {},
		},
		"a health state leads no names to the container": {
			change(func(m *recordpb.Record) { m.GetEndpoint().Health = 99 }),
			func(r *record.Record) { r.Endpoint.Health = record.HealthStarting },
		},
		"a port of another protocol is left out": {
			change(func(m *recordpb.Record) { m.GetEndpoint().Ports[0].Proto = 99 }),
			func(r *record.Record) { r.Endpoint.Ports = r.Endpoint.Ports[1:] },
		},
		"a published port of another protocol is left out": {
			change(func(m *recordpb.Record) { m.GetEndpoint().Published[0].Proto = 99 }),
			func(r *record.Record) { r.Endpoint.Published = nil },
		},
		"an unknown hold of a block counts as settled": {
			change(func(m *recordpb.Record) {
				m.Kind, m.Name, m.PackedName, m.Owner = recordpb.Kind_KIND_HOST, "h1", nil, ""
				m.Content = &recordpb.Record_Host{Host: &recordpb.Host{Block4: &recordpb.Prefix{Addr: []byte{100, 64, 1, 0}, Bits: 24}, Hold: 99}}
			}),
			func(r *record.Record) {
				r.Key, r.Owner, r.Endpoint = record.Key{Kind: record.KindHost, Name: "h1"}, "h1", nil
				r.Host = &record.Host{Name: "h1", Block4: netip.MustParsePrefix("100.64.1.0/24"), Hold: record.HoldSettled}
			},
		},
		"a record of another kind has no content": {
			change(func(m *recordpb.Record) { m.Kind, m.Content = 99, nil; m.ProtoReflect().SetUnknown(newField) }),
			func(r *record.Record) { r.Kind, r.Endpoint = "kind-99", nil },
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			want := typical()
			tt.want(&want)
			got, err := record.Decode(tt.wire)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got, exact); d != "" {
				t.Errorf("the record is read wrongly (-want +got):\n%s", d)
			}
		})
	}
}

func TestKindsOfNewerVersions(t *testing.T) {
	newer := record.Record{Key: record.Key{Kind: "kind-99", Name: "x"}, Owner: "h1", Version: record.Version{Epoch: 1, Seq: 1}}
	if newer.Kind.Known() || !record.KindApp.Known() {
		t.Error("kind-99 counts as known, or app as unknown")
	}
	if _, err := record.Encode(newer); err == nil {
		t.Error("a record whose content is not known was encoded")
	}
	newer.Deleted = true
	wire, err := record.Encode(newer)
	if err != nil {
		t.Fatalf("a tombstone of a newer version's kind: %v", err)
	}
	if got, err := record.Decode(wire); err != nil || got != newer {
		t.Errorf("a tombstone of a newer version's kind came back as %+v, %v", got, err)
	}
	for _, kind := range []record.Kind{"", "x", "kind-", "kind-0", "kind-1", "kind--5", "kind-007", "kind-99999999999"} {
		r := newer
		r.Kind = kind
		if err := r.Check(); err == nil {
			t.Errorf("kind %q passes Check", kind)
		}
	}
}

package catalog_test

import (
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"tombolo/linker/catalog"
	"tombolo/linker/record"
)

// news is a field that this version does not know.
var news = protowire.AppendString(protowire.AppendTag(nil, 1000, protowire.BytesType), "of a newer version")

// newerKind is a record of a kind that this version does not know.
func newerKind(name string) []byte {
	b := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 99)
	b = protowire.AppendString(protowire.AppendTag(b, 2, protowire.BytesType), name)
	b = protowire.AppendString(protowire.AppendTag(b, 4, protowire.BytesType), "h2")
	return append(b, news...)
}

func TestRecordsOfNewerVersionsArePassedOnAsReceived(t *testing.T) {
	known, err := record.Encode(from("h2", record.Version{Epoch: 1, Seq: 1}, endpoint("e2", "x")))
	if err != nil {
		t.Fatal(err)
	}
	for name, packet := range map[string][]byte{
		"a known kind with an unknown field": append(known, news...),
		"an unknown kind":                    newerKind("x"),
	} {
		t.Run(name, func(t *testing.T) {
			old := catalog.New("h1", 5)
			if news, err := old.Merge(packet); news == "" || err != nil {
				t.Fatalf("the catalog did not take the record: %q, %v", news, err)
			}
			if news, err := old.Merge(packet); news != "" || err != nil {
				t.Errorf("the same record changed the catalog again: %q, %v", news, err)
			}
			relayed, err := old.Missing(catalog.New("h3", 1).Digest())
			if err != nil || len(relayed) != 1 || string(relayed[0]) != string(packet) {
				t.Fatalf("a peer that knows nothing gets %q (%v), want the bytes as received, %q", relayed, err, packet)
			}
			newer := catalog.New("h3", 1)
			if _, err := newer.Merge(packet); err != nil {
				t.Fatal(err)
			}
			if packets, err := newer.Missing(old.Digest()); err != nil || len(packets) > 0 {
				t.Errorf("two catalogs that hold the same bytes exchange %d packets (%v), want none", len(packets), err)
			}
		})
	}
}

func TestAppRecordsOfANewerFrameworkArePassedOnAsReceived(t *testing.T) {
	packet, err := record.Encode(app("shop", record.Version{Epoch: 1, Seq: 1}))
	if err != nil {
		t.Fatal(err)
	}
	packet = append(packet, news...)
	c := catalog.New("h1", 5)
	if err := c.PutApp(packet); err != nil {
		t.Fatal(err)
	}
	if out := c.DrainOutbox(); len(out) != 1 || string(out[0].Wire) != string(packet) {
		t.Errorf("peers get %q, want the bytes that the framework sent, %q", out, packet)
	}
	if err := c.PutApp(packet); err != nil {
		t.Errorf("the same record again returned %v, want nil", err)
	}
}

// A host that ran a newer version and runs an older one again deletes what it no longer
// understands, as it deletes any record that it no longer puts.
func TestLeftoversOfANewerVersionAreDeleted(t *testing.T) {
	c := catalog.New("h2", 5)
	if _, err := c.Merge(newerKind("x")); err != nil {
		t.Fatal(err)
	}
	c.DeleteLeftovers()
	wantLines(t, drain(t, c), "x 5.1 deleted")
}

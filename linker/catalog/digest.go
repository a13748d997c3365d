package catalog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tombolo/linker/record"
)

// digestFormat is the first byte of a digest.
const digestFormat = 1

// group returns the name of the records that share a sum in a digest: all records of
// one host, or one app. Its first byte tells hosts from apps.
func group(r record.Record) string {
	if r.Kind == record.KindApp {
		return "a" + r.Name
	}
	return "h" + r.Owner
}

// Digest returns, for each host and each app, the sum of the hashes of its records that
// are not deleted. It takes about 20 bytes a host or app, however many records that has.
func (c *Catalog) Digest() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := []byte{digestFormat}
	for _, g := range slices.Sorted(maps.Keys(c.sums)) {
		b = binary.AppendUvarint(b, uint64(len(g)))
		b = append(b, g...)
		b = binary.BigEndian.AppendUint64(b, c.sums[g])
	}
	return b
}

// Missing returns the encoded records, also the tombstones, of every host and app whose
// sum in digest differs from ours: host records first, then apps, then endpoints. The
// holder of digest may know some of them already, or newer ones, which it sends in turn.
func (c *Catalog) Missing(digest []byte) ([][]byte, error) {
	theirs, err := parseDigest(digest)
	if err != nil {
		return nil, fmt.Errorf("digest: %w", err)
	}
	var packets [][]byte
	for _, e := range c.differing(theirs) {
		packets = append(packets, encoded(e))
	}
	return packets, nil
}

func (c *Catalog) differing(theirs map[string]uint64) []*entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	if maps.Equal(theirs, c.sums) {
		return nil
	}
	var all []*entry
	for _, e := range c.entries {
		if g := group(e.rec); theirs[g] != c.sums[g] {
			all = append(all, &entry{rec: e.rec, hash: e.hash})
		}
	}
	rank := map[record.Kind]int{record.KindHost: 0, record.KindApp: 1, record.KindEndpoint: 2}
	slices.SortFunc(all, func(a, b *entry) int {
		if d := rank[a.rec.Kind] - rank[b.rec.Kind]; d != 0 {
			return d
		}
		return strings.Compare(a.rec.Name, b.rec.Name)
	})
	return all
}

func parseDigest(b []byte) (map[string]uint64, error) {
	if len(b) == 0 || b[0] != digestFormat {
		return nil, errors.New("unknown format")
	}
	sums := map[string]uint64{}
	for b = b[1:]; len(b) > 0; {
		n, size := binary.Uvarint(b)
		if size <= 0 || n == 0 || n > record.MaxID+1 || uint64(len(b)-size) < n+8 {
			return nil, fmt.Errorf("group %d is cut off", len(sums)+1)
		}
		b = b[size:]
		sums[string(b[:n])] = binary.BigEndian.Uint64(b[n:])
		b = b[n+8:]
	}
	return sums, nil
}

// GossipDelegate makes a catalog a gossip.Delegate.
type GossipDelegate struct{ *Catalog }

// Merge decodes, checks and merges a packet. It returns the record's PacketKey if the
// catalog changed, else "".
func (w GossipDelegate) Merge(packet []byte) (news string, err error) {
	r, err := record.Decode(packet)
	if err != nil {
		return "", err
	}
	if !w.Catalog.Merge(r) {
		return "", nil
	}
	return PacketKey(r.Key), nil
}

// PacketKey returns the key under which gossip queues the packet of a record. A newer
// packet replaces an older one that still waits under the same key.
func PacketKey(k record.Key) string { return string(k.Kind) + "/" + k.Name }

package catalog

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"tombolo/linker/record"
)

// digestFormat is the first byte of a digest.
const digestFormat = 1

const hostGroup = 'h'

// group returns the name of the records that share a sum in a digest: all records of
// one host, or one app. Its first byte tells hosts from apps.
func group(r record.Record) string {
	if r.Kind == record.KindApp {
		return "a" + r.Name
	}
	return string(hostGroup) + r.Owner
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
	c.mu.Lock()
	defer c.mu.Unlock()
	c.compare(theirs)
	if maps.Equal(theirs, c.sums) {
		return nil, nil
	}
	return c.packets(func(group string) bool { return theirs[group] != c.sums[group] }), nil
}

// Packets returns all encoded records, also the tombstones, in the order of Missing.
func (c *Catalog) Packets() [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.packets(func(string) bool { return true })
}

func (c *Catalog) packets(wanted func(group string) bool) [][]byte {
	var all []*entry
	for _, e := range c.entries {
		if wanted(group(e.rec)) {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b *entry) int {
		return cmp.Or(cmp.Compare(order[a.rec.Kind], order[b.rec.Kind]), cmp.Compare(a.rec.Name, b.rec.Name), cmp.Compare(a.rec.Owner, b.rec.Owner))
	})
	packets := make([][]byte, len(all))
	for i, e := range all {
		packets[i] = e.wire
	}
	return packets
}

// comparison is what the holder of the last digest held and we did not.
type comparison struct{ count, missing, different int }

// Compared returns how many digests of other hosts have been compared with this catalog. Of
// the last one it returns how many hosts (without this one) had records there but none here,
// and how many had other records there.
func (c *Catalog) Compared() (count, missing, different int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.compared.count, c.compared.missing, c.compared.different
}

func (c *Catalog) compare(theirs map[string]uint64) {
	result := comparison{count: c.compared.count + 1}
	for g, sum := range theirs {
		ours, known := c.sums[g]
		switch {
		case g[0] != hostGroup || g[1:] == c.owner || c.forgotten[g[1:]] || ours == sum:
		case !known:
			result.missing++
		default:
			result.different++
		}
	}
	c.compared = result
}

// order sorts the kinds in the result of Missing. Kinds of newer versions have 0 and come last.
var order = map[record.Kind]int{record.KindHost: -3, record.KindApp: -2, record.KindEndpoint: -1}

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

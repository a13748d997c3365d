package overlay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Counters returns how many packets the policy has rejected since New, in all tables:
// "forged" (the source address is not the sender's), "refused" (no permission), "blocked" (a
// port or address that is closed to containers) and "stranger" (VXLAN from a host that is no
// member). "repaired_route" and so on are the numbers of repairs by RepairKind since New.
func (o *Overlay) Counters() (map[string]uint64, error) {
	var counts map[string]uint64
	err := inside(o.ns, func() (err error) {
		counts, err = o.packets.read(packetCounters)
		return err
	})
	if counts == nil {
		counts = map[string]uint64{}
	}
	o.repairs.addTo(counts)
	return counts, err
}

// packetCounters reads the counters of our table; it has none while there is no table.
func packetCounters() (map[string]uint64, error) {
	messages, err := askNftables(unix.NFT_MSG_GETOBJ, unix.NLM_F_DUMP, tableAttr(unix.NFTA_OBJ_TABLE))
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return nil, fmt.Errorf("read nftables counters: %w", err)
	}
	counts := map[string]uint64{}
	for _, m := range messages {
		if name, packets, ok := parseCounter(m[nfgenLen:]); ok {
			counts[name] = packets
		}
	}
	return counts, nil
}

func parseCounter(message []byte) (name string, packets uint64, ok bool) {
	var ours, counter bool
	for _, a := range attributes(message) {
		switch a.kind {
		case unix.NFTA_OBJ_TYPE:
			counter = binary.BigEndian.Uint32(a.value) == unix.NFT_OBJECT_COUNTER
		case unix.NFTA_OBJ_TABLE:
			ours = cString(a.value) == tableName
		case unix.NFTA_OBJ_NAME:
			name = cString(a.value)
		case unix.NFTA_OBJ_DATA:
			for _, d := range attributes(a.value) {
				if d.kind == unix.NFTA_COUNTER_PACKETS && len(d.value) == 8 {
					packets = binary.BigEndian.Uint64(d.value)
				}
			}
		}
	}
	return name, packets, ours && counter
}

func cString(b []byte) string { return strings.TrimRight(string(b), "\x00") }

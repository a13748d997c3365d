package overlay

import (
	"maps"
	"slices"
	"strings"
	"sync"
)

// RepairKind says what kind of thing another program has changed and Run has put right.
type RepairKind string

// The kinds of repairs.
const (
	KindDevice     RepairKind = "device"     // the VXLAN device: gone, down, or with another address or MTU
	KindInterface  RepairKind = "interface"  // the host's side of a container's pair is down
	KindFilter     RepairKind = "filter"     // the filter of one of these, see guard_linux.go
	KindAddress    RepairKind = "address"    // an address of one of these
	KindNeighbour  RepairKind = "neighbour"  // the MAC address of a peer
	KindForwarding RepairKind = "forwarding" // the underlay address behind a MAC address (FDB)
	KindRoute      RepairKind = "route"      // a route of ours
	KindSysctl     RepairKind = "sysctl"     // a setting below /proc/sys/net
	KindPolicy     RepairKind = "policy"     // our nftables tables
	KindFirewall   RepairKind = "firewall"   // rules of ours in the host's own firewall, see hostFirewall
)

// Repair is one thing that Run has put right.
type Repair struct {
	Kind  RepairKind
	Thing string // "100.64.2.0/24", "net.ipv4.ip_forward = 1" and so on, as `ip` and `sysctl` name it
}

// changes collects what one comparison of the kernel with the Config has changed.
type changes []Repair

func (c *changes) add(kind RepairKind, thing string) { *c = append(*c, Repair{kind, thing}) }

// String names each thing once: "route 100.64.2.0/24, sysctl net.ipv4.ip_forward = 1".
func (c changes) String() string {
	texts := map[string]bool{}
	for _, r := range c {
		texts[string(r.Kind)+" "+r.Thing] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(texts)), ", ")
}

// repairCounts counts repairs by kind.
type repairCounts struct {
	mu     sync.Mutex
	counts map[RepairKind]uint64
}

func (r *repairCounts) add(done changes) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts == nil {
		r.counts = map[RepairKind]uint64{}
	}
	for _, repair := range done {
		r.counts[repair.Kind]++
	}
}

// addTo puts the counts into a map of counters, as "repaired_route" and so on.
func (r *repairCounts) addTo(counters map[string]uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for kind, n := range r.counts {
		counters["repaired_"+string(kind)] = n
	}
}

package overlay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
)

// PoolDrop is a rule of another program that drops packets because of addresses of the pools.
type PoolDrop struct {
	Rule    string // and where it is
	Packets uint64 // that it has dropped; 0 also if it does not count them
}

// PoolDrops returns each rule of another program that drops packets because of addresses of the pools, such as Tailscale's rule for 100.64.0.0/10. It reads nftables, where
// iptables-nft has its rules too, and the tables of the older iptables. It does not read sets.
func PoolDrops(ctx context.Context, pools ...netip.Prefix) ([]PoolDrop, error) {
	ctx, cancel := context.WithTimeout(ctx, nftTimeout)
	defer cancel()
	ruleset, err := exec.CommandContext(ctx, "nft", "-t", "-j", "list", "ruleset").Output()
	if err != nil {
		return nil, fmt.Errorf("list nftables: %w", err)
	}
	found, err := nftDrops(ruleset, pools)
	if err != nil {
		return nil, err
	}
	if names, err := os.ReadFile("/proc/net/ip_tables_names"); err != nil || len(names) == 0 {
		return found, nil
	}
	saved, err := exec.CommandContext(ctx, "iptables-legacy-save", "-c").Output()
	if errors.Is(err, exec.ErrNotFound) {
		return found, nil
	}
	return append(found, legacyDrops(string(saved), pools)...), err
}

// nftRule is a rule in the JSON of nft, see libnftables-json(5).
type nftRule struct {
	Family, Table, Chain string
	Expr                 []map[string]json.RawMessage
}

// nftMatch is a comparison in a rule.
type nftMatch struct {
	Op   string
	Left struct {
		Meta    struct{ Key string }
		Payload struct{ Protocol, Field string }
	}
	Right json.RawMessage
}

func nftDrops(ruleset []byte, pools []netip.Prefix) (found []PoolDrop, err error) {
	var all struct {
		Nftables []struct{ Rule *nftRule }
	}
	if err := json.Unmarshal(ruleset, &all); err != nil {
		return nil, fmt.Errorf("parse the list of nftables: %w", err)
	}
	for _, object := range all.Nftables {
		if r := object.Rule; r != nil && r.Table != tableName {
			if what, packets := r.drops(pools); what != "" {
				found = append(found, PoolDrop{fmt.Sprintf("the rule %q in chain %s of table %s %s", what, r.Chain, r.Family, r.Table), packets})
			}
		}
	}
	return found, nil
}

// drops returns the part of the rule that drops packets of a pool; "" if it drops none, or only
// those of an interface that is not ours.
func (r *nftRule) drops(pools []netip.Prefix) (what string, packets uint64) {
	drop := ""
	for _, e := range r.Expr {
		var counter struct{ Packets uint64 }
		if json.Unmarshal(e["counter"], &counter) == nil { // named counters are texts
			packets = counter.Packets
		}
		for _, verdict := range []string{"drop", "reject"} {
			if _, ok := e[verdict]; ok {
				drop = verdict
			}
		}
		var m nftMatch
		if raw, ok := e["match"]; !ok || json.Unmarshal(raw, &m) != nil {
			continue
		}
		if key := m.Left.Meta.Key; (key == "iifname" || key == "oifname" || key == "iif" || key == "oif") && m.Op == "==" && !ourInterface(m.Right) {
			return "", 0
		}
		if field := m.Left.Payload.Field; m.Op == "==" && (field == "saddr" || field == "daddr") {
			if p := prefixIn(m.Right); overlapsAny(p, pools) {
				what = fmt.Sprintf("%s %s %s", m.Left.Payload.Protocol, field, p)
			}
		}
	}
	if what == "" || drop == "" {
		return "", 0
	}
	return what + " " + drop, packets
}

func ourInterface(right json.RawMessage) bool {
	var name string
	return json.Unmarshal(right, &name) != nil || strings.HasPrefix(name, vethPrefix) || strings.HasPrefix(Device, strings.TrimSuffix(name, "*"))
}

// prefixIn returns the address or the prefix in the right side of a comparison.
func prefixIn(right json.RawMessage) netip.Prefix {
	var text string
	if json.Unmarshal(right, &text) == nil {
		if a, err := netip.ParseAddr(text); err == nil {
			return netip.PrefixFrom(a, a.BitLen())
		}
		return netip.Prefix{}
	}
	var p struct {
		Prefix struct {
			Addr netip.Addr
			Len  int
		}
	}
	_ = json.Unmarshal(right, &p)
	return netip.PrefixFrom(p.Prefix.Addr, p.Prefix.Len)
}

func overlapsAny(p netip.Prefix, pools []netip.Prefix) bool {
	for _, pool := range pools {
		if p.IsValid() && pool.IsValid() && pool.Overlaps(p) {
			return true
		}
	}
	return false
}

// legacyDrops reads the output of iptables-save -c, where a rule begins like [7:420] -A INPUT.
func legacyDrops(saved string, pools []netip.Prefix) (found []PoolDrop) {
	table := ""
	for line := range strings.Lines(saved) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "*"); ok {
			table = name
		}
		var packets, octets uint64
		if counts, rule, ok := strings.Cut(line, "] "); ok {
			if n, _ := fmt.Sscanf(counts, "[%d:%d", &packets, &octets); n == 2 {
				line = rule
			}
		}
		words := strings.Fields(line)
		if len(words) < 4 || words[0] != "-A" || !strings.HasSuffix(line, "-j DROP") && !strings.Contains(line, "-j REJECT") {
			continue
		}
		drops := false
		for i := 2; i+1 < len(words); i++ {
			inverted := words[i-1] == "!"
			switch value := words[i+1]; words[i] {
			case "-s", "-d":
				p, err := netip.ParsePrefix(value)
				drops = drops || err == nil && !inverted && overlapsAny(p, pools)
			case "-i", "-o":
				if !inverted && !strings.HasPrefix(value, vethPrefix) && value != Device {
					drops = false
					i = len(words)
				}
			}
		}
		if drops {
			found = append(found, PoolDrop{fmt.Sprintf("the rule %q in table %s of iptables", line, table), packets})
		}
	}
	return found
}

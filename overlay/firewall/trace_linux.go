package firewall

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"time"

	"tombolo/internal/wake"
)

// Flow is UDP between the container behind an interface and an address of this host.
type Flow struct {
	Interface string         // the host's side of the container's pair
	Host      netip.AddrPort // IPv4
}

// traceTable is the table of nftables that exists while WhoDrops traces packets.
const traceTable = "tombolo_trace"

// traceScript makes the kernel trace the packets of a flow, in both directions, before any other table
// sees them. The answers may have another source port, which is translated later.
func (f Flow) traceScript() string {
	return fmt.Sprintf(`add table inet %[1]s
delete table inet %[1]s
table inet %[1]s {
	chain in { type filter hook prerouting priority -500; iifname %[2]q ip daddr %[3]s udp dport %[4]d meta nftrace set 1; }
	chain out { type filter hook output priority -500; oifname %[2]q ip saddr %[3]s meta l4proto udp meta nftrace set 1; }
}
`, traceTable, f.Interface, f.Host.Addr(), f.Host.Port())
}

// traceReady bounds the wait until a trace has begun.
const traceReady = 3 * time.Second

// WhoDrops calls send, which sends packets of a flow and waits for the answers, and returns the rules that have
// dropped any of them in the calling process's network namespace. The kernel's trace tells the rules of nftables, and those of
// iptables-nft, also without counters. Of legacy iptables the rules are returned whose counters
// have grown meanwhile. It calls send in any case.
func WhoDrops(ctx context.Context, f Flow, send func()) ([]string, error) {
	before, legacyErr := legacyDrops(ctx)
	traced, err := trace(ctx, f, send)
	after, _ := legacyDrops(ctx) // it fails as before
	for rule, packets := range after {
		if packets > before[rule] {
			traced = append(traced, rule)
		}
	}
	return traced, errors.Join(err, legacyErr)
}

// trace returns the rules of nftables that drop packets of the flow while send runs.
func trace(ctx context.Context, f Flow, send func()) ([]string, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var out transcript
	monitor := exec.CommandContext(ctx, "nft", "monitor")
	monitor.Stdout = &out
	if err := monitor.Start(); err != nil {
		send()
		return nil, fmt.Errorf("trace packets with nft: %w", err)
	}
	err := f.beginTrace(ctx, &out)
	send()
	stop()
	_ = monitor.Wait() // it was killed
	clean := exec.Command("nft", "delete", "table", "inet", traceTable)
	if _, cleanErr := run(clean); cleanErr != nil {
		err = errors.Join(err, fmt.Errorf("end the trace of packets: %w", cleanErr))
	}
	return droppers(out.String()), err
}

// beginTrace adds the table of the trace again and again until the monitor has seen that, because
// it does not tell when it listens.
func (f Flow) beginTrace(ctx context.Context, seen *transcript) error {
	ctx, cancel := context.WithTimeout(ctx, traceReady)
	defer cancel()
	for {
		add := exec.CommandContext(ctx, "nft", "-f", "-")
		add.Stdin = strings.NewReader(f.traceScript())
		if _, err := run(add); err != nil {
			return fmt.Errorf("trace packets: %w", err)
		}
		if !wake.Sleep(ctx, 100*time.Millisecond) {
			return errors.New("trace packets: nft monitor tells nothing")
		}
		if strings.Contains(seen.String(), traceTable) {
			return nil
		}
	}
}

// traceLine is a line of a trace that ends with a drop, like
// "trace id 2803a8dd inet site early rule ip saddr 100.64.0.0/10 drop (verdict drop)" or
// "trace id 4d180f20 inet site late policy drop".
var traceLine = regexp.MustCompile(`^trace id [0-9a-f]+ (\S+ \S+) (\S+) (?:rule (.*) \(verdict drop\)|(policy drop))\s*$`)

// droppers returns the rules of a trace that have dropped packets, each once.
func droppers(trace string) (found []string) {
	seen := map[string]bool{}
	for line := range strings.Lines(trace) {
		m := traceLine.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		rule := fmt.Sprintf("the rule %q in chain %s of table %s", counts.ReplaceAllString(m[3]+m[4], "counter"), m[2], m[1])
		if !seen[rule] {
			found = append(found, rule)
		}
		seen[rule] = true
	}
	return found
}

// legacyDrops returns how many packets each rule and each policy of legacy iptables has dropped.
func legacyDrops(ctx context.Context) (map[string]uint64, error) {
	if names, err := os.ReadFile(legacyTables[4]); err != nil || len(names) == 0 {
		return nil, nil
	}
	path, err := backend{family: 4, legacy: true}.program(ctx)
	if err != nil {
		return nil, err
	}
	saved, err := run(exec.CommandContext(ctx, path+"-save", "-c"))
	if err != nil {
		return nil, fmt.Errorf("list the rules of iptables-legacy: %w", err)
	}
	return parseSaved(saved), nil
}

// parseSaved reads the output of iptables-save -c, in which a table begins like "*raw", a rule like
// "[7:420] -A INPUT -j DROP" and a chain like ":INPUT DROP [7:420]".
func parseSaved(saved string) map[string]uint64 {
	drops := map[string]uint64{}
	table := ""
	for line := range strings.Lines(saved) {
		line = strings.TrimSpace(line)
		var packets, octets uint64
		if name, ok := strings.CutPrefix(line, "*"); ok {
			table = name
			continue
		}
		if chain, rest, ok := strings.Cut(strings.TrimPrefix(line, ":"), " DROP ["); ok && line[0] == ':' {
			_, _ = fmt.Sscanf(rest, "%d:%d", &packets, &octets)
			drops[fmt.Sprintf("the policy DROP of chain %s in table %s of iptables-legacy", chain, table)] = packets
			continue
		}
		counters, rule, _ := strings.Cut(line, " ")
		if n, _ := fmt.Sscanf(counters, "[%d:%d]", &packets, &octets); n != 2 || !strings.HasPrefix(rule, "-A ") {
			continue
		}
		if strings.HasSuffix(rule, " -j DROP") || strings.Contains(rule, " -j REJECT") {
			drops[fmt.Sprintf("the rule %q in table %s of iptables-legacy", rule, table)] = packets
		}
	}
	return drops
}

// transcript collects what a process prints, up to a limit.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// maxTranscript is the limit, in bytes. A trace of one query has some thousand.
const maxTranscript = 1 << 20

func (o *transcript) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.text.Len() < maxTranscript {
		o.text.Write(p)
	}
	return len(p), nil
}

func (o *transcript) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

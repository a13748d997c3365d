package overlay

import (
	"context"
	"crypto/sha256"
	"net/netip"
	"reflect"
	"time"

	"tombolo/overlay/firewall"
)

// policyPriority is the priority of the chains that set passMark, see table.nft.tmpl.
const policyPriority = -1

// hostFirewall keeps the host's own firewall from dropping what our policy accepts.
type hostFirewall struct {
	*firewall.Firewall
	report func([]firewall.Finding)

	want   firewall.Config   // as of the last ensure
	seen   int               // foreignChanges of the table at the last ensure; zero: there was none
	legacy [sha256.Size]byte // the rules of legacy iptables that had all of ours; zero: unknown
	last   time.Time
}

// noticed, as hostFirewall.seen, says that another program has changed nftables, which the table has not
// counted yet.
const noticed = -1

// retryFirewall is the time between attempts at a table that cannot be read or changed.
const retryFirewall = 10 * time.Second

// ensure puts our rules into their places, and returns the chains that have lost some of them. It does
// nothing if no other program has changed a firewall since the last time.
func (f *hostFirewall) ensure(ctx context.Context, c Config, foreignChanges int) (undone []string) {
	want := firewallConfig(c)
	legacy, err := firewall.LegacyDigest()
	same := err == nil && legacy == f.legacy && f.seen == foreignChanges && f.seen != 0 && reflect.DeepEqual(want, f.want)
	if same && (!f.Failed() || time.Since(f.last) < retryFirewall) {
		return nil
	}
	undone = f.Ensure(ctx, want)
	f.want, f.seen, f.last = want, foreignChanges, time.Now()
	if f.legacy = legacy; len(undone) > 0 { // our rules may be gone again by now
		f.legacy = [sha256.Size]byte{}
	}
	f.report(f.Findings())
	return undone
}

// LookAtFirewall returns what drops packets of the overlay in this host's firewall, and changes nothing. It is for
// hosts where no linker runs; a running linker reports that itself.
func LookAtFirewall(ctx context.Context, pool4 netip.Prefix) []firewall.Finding {
	return firewall.Look(ctx, firewallConfig(Config{Pool4: pool4, Port: DefaultPort}))
}

func (f *hostFirewall) reportNow() { f.report(f.Findings()) }

// remove removes our rules.
func (f *hostFirewall) remove(ctx context.Context) error {
	f.seen = 0
	return f.Remove(ctx, firewallConfig(Config{}))
}

func firewallConfig(c Config) firewall.Config {
	f := firewall.Config{
		Mark: passMark, Priority: policyPriority, Table: tableName, Veths: vethPrefix, Device: Device,
		Pool4: c.Pool4, Pool6: c.Pool6, Tunnel: c.Port, DNSPort: c.DNSPort,
	}
	for _, p := range c.Peering {
		f.Peering = append(f.Peering, firewall.Port{Number: p.Port, Proto: p.Proto})
	}
	var peers []netip.Addr
	for _, p := range c.Peers {
		peers = append(peers, p.Underlay)
	}
	f.Peers = peers
	return f
}

// recheckLegacy is the time between two looks at the rules of legacy iptables, because the kernel
// tells nobody when they change.
const recheckLegacy = 300 * time.Millisecond

// watchLegacy puts our rules into legacy iptables again when another program has removed them, and
// repeats an attempt that failed, until ctx is done.
func (o *Overlay) watchLegacy(ctx context.Context) {
	tick := time.NewTicker(recheckLegacy)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			o.recheckFirewall(ctx)
		}
	}
}

func (o *Overlay) recheckFirewall(ctx context.Context) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.want.config == nil || o.firewall.seen == 0 {
		return
	}
	_ = inside(o.ns, func() error {
		o.ensureFirewall(ctx, *o.want.config)
		return nil
	})
}

// ensureFirewall has the host's own firewall accept what our policy accepts.
func (o *Overlay) ensureFirewall(ctx context.Context, c Config) {
	var undone changes
	for _, chain := range o.firewall.ensure(ctx, c, o.table.foreignChanges) {
		undone.add(KindFirewall, chain)
	}
	o.noteRepairs(undone)
}

// Firewall returns what the host's own firewall drops of the overlay's packets, as of the last look
// at it.
func (o *Overlay) Firewall() []firewall.Finding { return o.firewall.Findings() }

package firewall

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"tombolo/internal/wake"
)

// Firewall keeps rules of ours in the host's own firewall. Make one with New. Its methods may be called at the
// same time, but Ensure and Remove exclude each other.
type Firewall struct {
	log *slog.Logger
	ask wake.Signal // notified when firewalld has to be asked

	mu       sync.Mutex
	findings []Finding
	failed   bool                // the last Ensure could not read or change something
	wanted   Config              // of the last Ensure
	placed   map[string][]string // the rules that it left in place, see pass.placed
	asked    Config              // that firewalld accepts
	refusal  error               // why it does not
}

// New returns a Firewall that has done nothing yet.
func New(log *slog.Logger) *Firewall { return &Firewall{log: log, ask: wake.NewSignal()} }

// Run asks firewalld where its table belongs to it alone, and calls changed when its answer may have changed the
// findings. It returns when ctx is done.
func (f *Firewall) Run(ctx context.Context, changed func()) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.ask:
			f.askFirewalld(ctx)
			changed()
		}
	}
}

func (f *Firewall) askFirewalld(ctx context.Context) {
	f.mu.Lock()
	want := f.wanted
	f.mu.Unlock()
	err := withFirewalld(ctx, func(d firewalld) error { return d.ensure(want) })
	if ctx.Err() != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked, f.refusal = want, err
	f.noteAnswer()
}

// noteAnswer brings the findings about firewalld's own table up to date. The caller holds f.mu.
func (f *Firewall) noteAnswer() {
	for i := range f.findings {
		if at := &f.findings[i]; at.locked {
			at.Mended = f.refusal == nil && reflect.DeepEqual(f.asked, f.wanted)
			switch {
			case at.Mended:
				at.Reason, at.Remedy = "", ""
			case f.refusal != nil:
				at.Reason = "the table belongs to firewalld alone, and by D-Bus: " + f.refusal.Error()
				at.Remedy = "systemctl status firewalld dbus; or set NftablesTableOwner=no in /etc/firewalld/firewalld.conf and restart firewalld"
			default:
				at.Reason = "the table belongs to firewalld alone, which is being asked by D-Bus"
			}
		}
	}
}

// Findings returns the places in the host's firewall that drop packets of the overlay, as of the
// last Ensure: those before which rules of ours stand, and those where that is impossible.
func (f *Firewall) Findings() []Finding {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.findings)
}

// Failed reports whether the last Ensure could not read or change a table. Another program may
// have used it at the same time, so that a repeated Ensure succeeds.
func (f *Firewall) Failed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

// Ensure puts the rules of ours that are missing into the tables of the calling thread's network
// namespace, and moves those that stand in the wrong place. It returns the chains that have lost a rule
// since the last Ensure, such as "iptables-nft INPUT". Findings has the chains that it cannot change.
func (f *Firewall) Ensure(ctx context.Context, c Config) (undone []string) {
	p := pass{ctx: ctx, c: c, before: map[string]rulesOfOurs{}}
	p.all()
	f.mu.Lock()
	defer f.mu.Unlock()
	undone = p.undone(f.placed)
	f.findings, f.failed, f.wanted, f.placed = p.findings, p.failed, c, p.placed()
	if slices.ContainsFunc(f.findings, func(at Finding) bool { return at.locked }) {
		f.noteAnswer()
		f.ask.Notify() // also if it was asked before: it may have been reloaded
	}
	return undone
}

// Remove removes the rules of ours.
func (f *Firewall) Remove(ctx context.Context, c Config) error {
	p := pass{ctx: ctx, c: c, before: map[string]rulesOfOurs{}, remove: true}
	p.all()
	f.mu.Lock()
	defer f.mu.Unlock()
	if p.firewalld {
		err := withFirewalld(ctx, func(d firewalld) error { return d.remove(c) })
		if !reflect.DeepEqual(f.asked, Config{}) { // else it does not matter whether firewalld answers
			p.errs = append(p.errs, err)
		}
	}
	f.findings, f.failed, f.asked, f.refusal, f.placed = nil, false, Config{}, nil, nil
	return errors.Join(p.errs...)
}

// Look returns the places in the host's firewall that drop packets of the overlay, of the calling thread's network
// namespace, and changes nothing. It is for hosts where no linker runs: a chain with any rule of ours counts as
// mended, because the ports of the last linker are not known.
func Look(ctx context.Context, c Config) []Finding {
	p := pass{ctx: ctx, c: c, before: map[string]rulesOfOurs{}, look: true}
	p.all()
	return p.findings
}

// unlessAbsent returns a finding that is mended, or what mends it if the pass only looks and the chain has no rule
// of ours.
func (p *pass) unlessAbsent(f Finding, its chain) Finding {
	if p.look && f.Mended && !slices.ContainsFunc(its.rules, func(r rule) bool { return r.ours != "" }) {
		f.Mended, f.Reason, f.Remedy = false, "no rule of the linker stands before it", "start the linker, which puts its rules there"
	}
	return f
}

// pass is one comparison of the host's firewall with a Config.
type pass struct {
	ctx    context.Context
	c      Config
	remove bool // the rules of ours, instead of adding them
	look   bool // change nothing

	before    map[string]rulesOfOurs // by firewall and chain, such as "iptables-nft INPUT"; without those that could not be changed
	findings  []Finding
	firewalld bool // firewalld has a table here
	failed    bool
	errs      []error
}

func (p *pass) all() {
	for _, b := range legacyBackends() {
		p.xtables(b)
	}
	bases, err := p.c.baseChains(p.ctx)
	if err != nil {
		p.fail(Finding{Firewall: "nftables", Drops: losses[input], Reason: err.Error(), Remedy: "install nftables; look at `nft list ruleset`"}, err)
		return
	}
	tables := map[nftTable][]baseChain{}
	for _, b := range bases {
		tables[b.nftTable] = append(tables[b.nftTable], b)
	}
	for t, its := range tables {
		if t.byIptables(its) && p.xtables(backend{family: map[string]int{"ip": 4, "ip6": 6}[t.family]}) {
			continue
		}
		p.nftables(t, its)
	}
	slices.SortFunc(p.findings, func(a, b Finding) int { return strings.Compare(a.String(), b.String()) })
}

func (p *pass) note(before map[string]rulesOfOurs) { maps.Copy(p.before, before) }

// undone returns the chains without a rule that an earlier pass has put there.
func (p *pass) undone(placed map[string][]string) (chains []string) {
	for name, its := range p.before {
		if slices.ContainsFunc(its.missing, func(r string) bool { return slices.Contains(placed[name], r) }) {
			chains = append(chains, name)
		}
	}
	slices.Sort(chains)
	return chains
}

// placed returns the rules of ours that are in place after the pass, by chain.
func (p *pass) placed() map[string][]string {
	out := map[string][]string{}
	for name, its := range p.before {
		out[name] = its.wanted
	}
	return out
}

// fail notes that something could not be read or changed.
func (p *pass) fail(at Finding, err error) {
	p.failed = true
	p.findings = append(p.findings, at)
	p.errs = append(p.errs, err)
}

// xtables changes a table of iptables. It reports whether iptables can read the table: that is not
// so if other programs have put rules into it that iptables does not know.
func (p *pass) xtables(b backend) (readable bool) {
	x, err := b.list(p.ctx, p.c)
	if err != nil && !b.legacy && !isBusy(err) {
		return false // iptables is missing, or the table is not iptables'
	}
	var script string
	var chains map[string]rulesOfOurs
	if err == nil {
		script, chains = x.repair(p.c, p.remove)
	}
	if script != "" && !p.look {
		err = b.restore(p.ctx, script)
	}
	if err != nil {
		p.fail(Finding{
			Firewall: b.String(), Table: "filter", Drops: losses[input], Reason: err.Error(),
			Remedy: fmt.Sprintf("install %s, or remove the table with its modules if nothing uses it", b),
		}, err)
		return true
	}
	before := map[string]rulesOfOurs{}
	for name, its := range chains {
		before[b.String()+" "+name] = its
	}
	p.note(before)
	for _, h := range []hook{input, forward, output} {
		if name := chainNames[h]; x.chains.dropsByDefault(name) {
			p.findings = append(p.findings, p.unlessAbsent(Finding{
				Firewall: b.String(), Table: "filter", Chain: name, Rule: x.chains.culprit(name), Drops: losses[h], Mended: true,
			}, x.chains[name]))
		}
	}
	return true
}

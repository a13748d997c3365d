package firewall

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// baseChains lists the base chains of other programs.
func (c Config) baseChains(ctx context.Context) ([]baseChain, error) {
	out, err := run(exec.CommandContext(ctx, "nft", "-j", "list", "chains"))
	if err != nil {
		return nil, fmt.Errorf("list the chains of nftables: %w", err)
	}
	return c.parseChains([]byte(out))
}

// nftables changes a table that is not iptables'.
func (p *pass) nftables(t nftTable, bases []baseChain) {
	out, err := run(exec.CommandContext(p.ctx, "nft", "-j", "-t", "list", "table", t.family, t.name))
	var cs chains
	if err == nil {
		cs, err = parseTable([]byte(out))
	}
	if err != nil {
		p.fail(p.unread(t, err), fmt.Errorf("list table %s: %w", t, err))
		return
	}
	p.firewalld = p.firewalld || t.name == firewalldTable
	failed := p.change(t, bases, cs)
	if p.remove {
		return
	}
	for _, at := range bases {
		if !cs.dropsByDefault(at.name) {
			continue
		}
		err := failed
		if p.tooEarly(at) {
			err = errTooEarly
		}
		p.findings = append(p.findings, p.unlessAbsent(p.inspect(at, cs, err), cs[at.name]))
	}
}

var errTooEarly = errors.New("the chain's priority puts it before the overlay's policy")

func (p *pass) tooEarly(at baseChain) bool { return at.priority <= p.c.Priority }

// change puts the rules of ours into the chains of a table.
func (p *pass) change(t nftTable, bases []baseChain, cs chains) error {
	var all strings.Builder
	before := map[string]rulesOfOurs{}
	for _, at := range bases {
		if p.tooEarly(at) {
			continue
		}
		script, its := p.c.script(at, cs, p.remove)
		all.WriteString(script)
		before["nftables "+t.String()+" "+at.name] = its
	}
	if all.Len() == 0 || p.look {
		p.note(before)
		return nil
	}
	cmd := exec.CommandContext(p.ctx, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(all.String())
	if _, err := run(cmd); err != nil {
		err = fmt.Errorf("change table %s: %w", t, err)
		p.failed = true
		p.errs = append(p.errs, err)
		return err
	}
	p.note(before)
	return nil
}

func (p *pass) unread(t nftTable, err error) Finding {
	return Finding{
		Firewall: "nftables", Table: t.String(), Drops: losses[input], Reason: "cannot be read: " + err.Error(),
		Remedy: "look at `nft list table " + t.String() + "`",
	}
}

// inspect returns what a chain drops, and why no rules of ours can prevent it if err is not nil.
func (p *pass) inspect(at baseChain, cs chains, err error) Finding {
	f := Finding{Firewall: "nftables", Table: at.nftTable.String(), Chain: at.name, Drops: losses[at.hook], Mended: err == nil}
	f.Rule = cs.culprit(at.name)
	if handle, ok := strings.CutPrefix(f.Rule, "handle "); ok {
		f.Rule = ruleText(p.ctx, at, handle)
	}
	switch {
	case err == nil:
	case errors.Is(err, errTooEarly):
		f.Reason = fmt.Sprintf("its priority %d puts it before the overlay's policy", at.priority)
		f.Remedy = fmt.Sprintf("give the chain a priority above %d", p.c.Priority)
	default:
		f.locked = at.nftTable.name == firewalldTable
		f.Reason = err.Error()
		f.Remedy = "accept packets with the mark " + fmt.Sprintf("%#x", p.c.Mark) + " there: " + suggestion(at, p.c.Mark)
	}
	return f
}

func suggestion(at baseChain, mark uint32) string {
	return fmt.Sprintf("nft insert rule %s %s meta mark and %#x == %#[3]x accept", at.nftTable, at.name, mark)
}

var (
	handleComment = regexp.MustCompile(` # handle (\d+)$`)
	counts        = regexp.MustCompile(`counter packets \d+ bytes \d+`)
)

// ruleText returns a rule as nft prints it, or its handle if it is gone.
func ruleText(ctx context.Context, at baseChain, handle string) string {
	out, _ := run(exec.CommandContext(ctx, "nft", "-a", "-t", "list", "table", at.family, at.nftTable.name))
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if m := handleComment.FindStringSubmatch(line); m != nil && m[1] == handle && !strings.HasSuffix(strings.TrimSuffix(line, m[0]), "{") {
			return counts.ReplaceAllString(strings.TrimSuffix(line, m[0]), "counter")
		}
	}
	return "handle " + handle
}

func handleText(n int) string { return "handle " + strconv.Itoa(n) }

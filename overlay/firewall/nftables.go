package firewall

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// nftTable names a table of nftables.
type nftTable struct{ family, name string }

// String is how nft names the table.
func (t nftTable) String() string { return t.family + " " + t.name }

// byIptables reports whether iptables seems to manage the table: nft does not understand all of its
// rules, and iptables refuses a table with rules that it would not have written.
func (t nftTable) byIptables(bases []baseChain) bool {
	foreign := func(b baseChain) bool { return chainNames[b.hook] != b.name }
	return (t.family == "ip" || t.family == "ip6") && t.name == "filter" && !slices.ContainsFunc(bases, foreign)
}

// baseChain is a chain of a table that the kernel itself calls.
type baseChain struct {
	nftTable
	name     string
	hook     hook
	priority int
}

// listing is nft's JSON form of chains and rules (libnftables-json(5)).
type listing struct {
	Nftables []struct {
		Chain *struct {
			Family, Table, Name, Type, Policy string
			Hook                              hook
			Prio                              int
		}
		Rule *struct {
			Family, Table, Chain, Comment string
			Handle                        int
			Expr                          []map[string]json.RawMessage
		}
	}
}

// parseChains returns the filtering base chains in the listing of all chains, of all tables but our own.
func (c Config) parseChains(text []byte) (out []baseChain, err error) {
	var l listing
	if err := json.Unmarshal(text, &l); err != nil {
		return nil, fmt.Errorf("read nft's listing: %w", err)
	}
	for _, item := range l.Nftables {
		ch := item.Chain
		if ch == nil || ch.Type != "filter" || ch.Table == c.Table || chainNames[ch.Hook] == "" || !slices.Contains([]string{"ip", "ip6", "inet"}, ch.Family) {
			continue
		}
		out = append(out, baseChain{nftTable{ch.Family, ch.Table}, ch.Name, ch.Hook, ch.Prio})
	}
	return out, nil
}

// parseTable returns the chains in the listing of one table.
func parseTable(text []byte) (chains, error) {
	var l listing
	if err := json.Unmarshal(text, &l); err != nil {
		return nil, fmt.Errorf("read nft's listing: %w", err)
	}
	cs := chains{}
	for _, item := range l.Nftables {
		if ch := item.Chain; ch != nil {
			cs[ch.Name] = chain{drops: ch.Policy == "drop"}
		}
	}
	for _, item := range l.Nftables {
		if r := item.Rule; r != nil {
			parsed := rule{text: handleText(r.Handle), handle: r.Handle, bare: true}
			if strings.HasPrefix(r.Comment, comment+": ") {
				parsed.ours = r.Comment
			}
			for _, e := range r.Expr {
				for name, value := range e {
					parsed.addExpression(name, value)
				}
			}
			ch := cs[r.Chain]
			ch.rules = append(ch.rules, parsed)
			cs[r.Chain] = ch
		}
	}
	return cs, nil
}

func (r *rule) addExpression(name string, value json.RawMessage) {
	switch name {
	case "drop", "reject", "queue":
		r.drops = true
	case "accept", "return":
		r.returns = true
	case "jump", "goto":
		var to struct{ Target string }
		_ = json.Unmarshal(value, &to) // without a target it leads nowhere
		r.branches = append(r.branches, to.Target)
	case "counter", "log", "mangle":
	case "vmap":
		// Its elements may be anywhere, and change at any time.
		r.drops, r.bare = true, false
	default:
		r.bare = false
	}
}

// script returns nft's commands that put the rules of ours into a chain, and the chain's state before.
// It is empty if the rules are in their places.
func (c Config) script(at baseChain, cs chains, remove bool) (commands string, before rulesOfOurs) {
	var first, late []accept
	if !remove && cs.mayDrop(at.name) {
		family := map[string]int{"ip": 4, "ip6": 6}[at.family]
		first, late = c.accepts(at.hook, family)
	}
	p, differs := cs.place(at.name, comments(first), comments(late))
	if !differs {
		return "", p.rulesOfOurs
	}
	var b strings.Builder
	where := at.nftTable.String() + " " + at.name
	for _, r := range cs[at.name].rules {
		if r.ours != "" {
			fmt.Fprintf(&b, "delete rule %s handle %d\n", where, r.handle)
		}
	}
	c.insert(&b, where, p.others, p.lead, first)
	c.insert(&b, where, p.others, p.end, late)
	return b.String(), p.rulesOfOurs
}

// insert writes commands that insert the rules before others[i], or at the end.
func (c Config) insert(b *strings.Builder, where string, others []rule, i int, rules []accept) {
	for _, a := range rules {
		if i < len(others) {
			fmt.Fprintf(b, "insert rule %s handle %d %s\n", where, others[i].handle, a.nftables(c.Mark))
		} else {
			fmt.Fprintf(b, "add rule %s %s\n", where, a.nftables(c.Mark))
		}
	}
}

func comments(rules []accept) (out []string) {
	for _, a := range rules {
		out = append(out, a.comment())
	}
	return out
}

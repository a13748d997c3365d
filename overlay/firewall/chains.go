package firewall

import "slices"

// rule is a rule of another program's chain, or of ours in it.
type rule struct {
	text     string   // as iptables or nft prints it
	handle   int      // of nftables
	ours     string   // of a rule of ours: what tells it from all others
	drops    bool     // it has a verdict that drops or rejects packets
	returns  bool     // it has a verdict that ends the chain without a drop: accept or return
	bare     bool     // it has no condition
	branches []string // the chains that it leads to
}

// chain is a chain of a table.
type chain struct {
	drops bool // packets that no rule decides about are dropped
	rules []rule
}

// chains are the chains of one table, by name.
type chains map[string]chain

// mayDrop reports whether the chain may drop a packet. Rules of ours do not.
func (cs chains) mayDrop(name string) bool { return cs.search(name, map[string]bool{}) }

// search looks for a drop in a chain and those that it leads to. It visits each chain once: their
// number of ways may be huge.
func (cs chains) search(name string, visited map[string]bool) bool {
	if visited[name] {
		return false
	}
	visited[name] = true
	c := cs[name]
	return c.drops || slices.ContainsFunc(c.rules, func(r rule) bool { return cs.leadsToDrop(r, visited) })
}

func (cs chains) leadsToDrop(r rule, visited map[string]bool) bool {
	return r.drops || slices.ContainsFunc(r.branches, func(to string) bool { return cs.search(to, visited) })
}

func (cs chains) ruleMayDrop(r rule) bool { return cs.leadsToDrop(r, map[string]bool{}) }

// dropsByDefault reports whether the chain drops every packet that no earlier rule accepts.
func (cs chains) dropsByDefault(name string) bool {
	return cs[name].drops || slices.ContainsFunc(cs[name].rules, cs.dropsTheRest)
}

// dropsTheRest reports whether the rule drops every packet that comes to it, or leads to a chain
// that drops all but what it accepts.
func (cs chains) dropsTheRest(r rule) bool { return cs.restIsDropped(r, map[string]bool{}) }

func (cs chains) restIsDropped(r rule, visited map[string]bool) bool {
	if !r.bare {
		return false
	}
	return r.drops || slices.ContainsFunc(r.branches, func(to string) bool {
		if visited[to] {
			return false
		}
		visited[to] = true
		for _, next := range cs[to].rules {
			if cs.restIsDropped(next, visited) {
				return true
			}
			if next.bare && next.returns {
				return false
			}
		}
		return false
	})
}

// placement says where rules of ours stand in a chain: first before others[lead], late before
// others[end].
type placement struct {
	others      []rule
	first, late []string
	lead, end   int
	rulesOfOurs
}

// rulesOfOurs are the rules that a chain should have from us.
type rulesOfOurs struct {
	wanted, missing []string // missing: those of them that are not in the chain; the others may have to move
}

// place finds the places in a chain for rules of ours. The ones in first come before every rule that
// may drop something; harmless rules that stand before them stay there. The ones in late come
// right before the first rule that decides about everything, or at the end. Changed is false
// if all of them are there.
func (cs chains) place(name string, first, late []string) (p placement, changed bool) {
	p = placement{first: first, late: late}
	var have []int // as order
	harmless := true
	ours := slices.Concat(first, late)
	for _, r := range cs[name].rules {
		if r.ours != "" {
			have = append(have, slices.Index(ours, r.ours)+1e6)
			harmless = false
			continue
		}
		have = append(have, len(p.others))
		p.others = append(p.others, r)
		if harmless = harmless && !cs.ruleMayDrop(r) && (!r.bare || !r.returns); harmless {
			p.lead = len(p.others)
		}
	}
	if len(have) == len(p.others) { // none of ours is there
		p.lead = 0
	}
	p.wanted = ours
	for i, its := range ours {
		if !slices.Contains(have, 1e6+i) {
			p.missing = append(p.missing, its)
		}
	}
	p.end = len(p.others)
	if i := slices.IndexFunc(p.others, func(r rule) bool { return cs.dropsTheRest(r) || r.bare && r.returns }); i >= p.lead {
		p.end = i
	}
	return p, !slices.Equal(have, p.order())
}

// order returns the indexes of all rules as they should be: those of ours are 1e6 and up.
func (p placement) order() []int {
	var out []int
	for i := range len(p.others) + 1 {
		if i == p.lead {
			for n := range p.first {
				out = append(out, 1e6+n)
			}
		}
		if i == p.end {
			for n := range p.late {
				out = append(out, 1e6+len(p.first)+n)
			}
		}
		if i < len(p.others) {
			out = append(out, i)
		}
	}
	return out
}

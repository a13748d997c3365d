package firewall

import (
	"fmt"
	"slices"
	"strings"
)

// xtables is what `iptables -S` prints about the table filter.
type xtables struct {
	chains chains
	family int // 4 or 6
}

// droppingTargets are the targets that no packet survives for sure. A program that gets a packet
// from a queue may drop it.
var droppingTargets = []string{"DROP", "REJECT", "TARPIT", "QUEUE", "NFQUEUE"}

// parseXtables reads the output of `iptables -S`.
func (c Config) parseXtables(listing string, family int) xtables {
	x := xtables{chains: chains{}, family: family}
	for line := range strings.Lines(listing) {
		kind, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, rest, _ := strings.Cut(rest, " ")
		switch c := x.chains[name]; kind {
		case "-P":
			c.drops = rest == "DROP"
			x.chains[name] = c
		case "-N":
			x.chains[name] = c
		case "-A":
			c.rules = append(c.rules, rule{text: rest})
			x.chains[name] = c
		}
	}
	for _, ch := range x.chains {
		for i := range ch.rules {
			c.parseXtablesRule(&ch.rules[i], x.chains)
		}
	}
	return x
}

func (c Config) parseXtablesRule(r *rule, known chains) {
	if c.isOurs(r.text) {
		r.ours = r.text
	}
	words := strings.Fields(r.text)
	verdict := max(slices.Index(words, "-j"), slices.Index(words, "-g"))
	if verdict < 0 || verdict+1 == len(words) {
		return
	}
	target := words[verdict+1]
	r.bare = verdict == 0 || verdict == 4 && slices.Equal(words[:3], []string{"-m", "comment", "--comment"})
	r.drops = slices.Contains(droppingTargets, target)
	r.returns = target == "ACCEPT" || target == "RETURN"
	if _, isChain := known[target]; isChain {
		r.branches = []string{target}
	}
}

// wanted returns the rules of ours that a chain should have.
func (x xtables) wanted(c Config, name string) (first, late []string) {
	if _, exists := x.chains[name]; !exists || name != dockerUser && !x.chains.mayDrop(name) {
		return nil, nil
	}
	h := forward // and DOCKER-USER
	for other, its := range chainNames {
		if its == name {
			h = other
		}
	}
	firstRules, lateRules := c.accepts(h, x.family)
	return texts(firstRules, c.Mark), texts(lateRules, c.Mark)
}

func texts(rules []accept, mark uint32) (out []string) {
	for _, a := range rules {
		out = append(out, a.xtables(mark))
	}
	return out
}

// managed are the chains that may have rules of ours.
var managed = []string{chainNames[input], chainNames[forward], chainNames[output], dockerUser}

// repair returns the commands for iptables-restore that put the rules of ours into their places,
// and the state of each chain before. With remove they remove these rules.
func (x xtables) repair(c Config, remove bool) (script string, before map[string]rulesOfOurs) {
	var b strings.Builder
	before = map[string]rulesOfOurs{}
	for _, name := range managed {
		var first, late []string
		if !remove {
			first, late = x.wanted(c, name)
		}
		p, differs := x.chains.place(name, first, late)
		before[name] = p.rulesOfOurs
		if !differs {
			continue
		}
		for _, r := range x.chains[name].rules {
			if r.ours != "" {
				fmt.Fprintf(&b, "-D %s %s\n", name, r.text)
			}
		}
		for i, text := range p.first {
			fmt.Fprintf(&b, "-I %s %d %s\n", name, p.lead+1+i, text)
		}
		for i, text := range p.late {
			fmt.Fprintf(&b, "-I %s %d %s\n", name, p.end+len(p.first)+1+i, text)
		}
	}
	return b.String(), before
}

// culprit returns what drops packets in a chain: a rule, or the chain's policy.
func (cs chains) culprit(name string) string {
	for _, r := range cs[name].rules {
		if cs.dropsTheRest(r) {
			return r.text
		}
	}
	if cs[name].drops {
		return "policy drop"
	}
	for _, r := range cs[name].rules {
		if r.ours == "" && cs.ruleMayDrop(r) {
			return r.text
		}
	}
	return ""
}

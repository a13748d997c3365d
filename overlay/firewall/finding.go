package firewall

import "strings"

// Finding is a place in the host's own firewall that drops packets of the overlay, unless rules of
// ours stand before it.
type Finding struct {
	Firewall string // the program that manages the table: "iptables-nft", "ip6tables-legacy", "nftables" or "firewalld"
	Table    string // as the program names it: "filter", "inet filter"; "" if the table could not be read
	Chain    string
	Rule     string // the rule that drops, or "policy drop"
	Drops    string // what the overlay loses by it
	Mended   bool   // rules of ours stand before it, so nothing is lost
	Reason   string // why there are none; "" if Mended
	Remedy   string // what the operator can do; "" if Mended
	locked   bool   // the table is firewalld's, and does not let others in
}

// Place names the chain: "nftables inet filter input".
func (f Finding) Place() string {
	return strings.Join(strings.Fields(f.Firewall+" "+f.Table+" "+f.Chain), " ")
}

// What tells which packets are dropped, and by which rule: `drops names for containers by “counter drop”`.
func (f Finding) What() string {
	if f.Rule == "" {
		return "drops " + f.Drops
	}
	return "drops " + f.Drops + " by “" + f.Rule + "”"
}

// String is the finding in one line.
func (f Finding) String() string {
	text := f.Place() + " " + f.What()
	if f.Mended {
		return text + ", but accepts these before it"
	}
	return text + ": " + f.Reason + " (" + f.Remedy + ")"
}

// losses says what the overlay loses if a hook's packets are dropped.
var losses = map[hook]string{
	input:   "names for containers, and packets of the other hosts",
	forward: "packets from and to containers",
	output:  "answers to containers, and packets to the other hosts",
}

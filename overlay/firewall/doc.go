// Package firewall keeps the host's own firewall from dropping what the overlay's policy accepts.
//
// An accept in the overlay's nftables table does not outweigh a drop in a table of another
// program: each table is asked, and the first drop decides. So the accepts have to stand where
// the other program decides, as Docker's chain DOCKER-USER lets users do for forwarded packets.
//
// # How it works
//
// The policy runs first, and sets a bit in the mark of the packets that it accepts. The rules of
// this package accept packets with that bit, on interfaces of the overlay or to ports of the
// overlay (accepts.go). So they never let anything pass that the policy forbids, and nothing at
// all while the policy's table is missing.
//
// They are kept in the base chains for incoming, outgoing and forwarded packets that may drop
// something:
//
//   - of iptables and ip6tables, both the kind that is based on nftables and the legacy kind
//     (xtables.go), and in DOCKER-USER;
//   - of nftables tables of other programs (nftables.go);
//   - of firewalld too. Where its table belongs to it alone, Run asks it by D-Bus (firewalld.go).
//
// The rules for DNS, VXLAN, gossip and packets between containers stand before every rule that
// drops something, because the overlay cannot work without them. The rules for packets between
// containers and the outside stand before the first rule that drops everything. So a rule with
// which the administrator refuses some of these packets still holds.
//
// # What it never does
//
// It opens no port to the outside, changes no policy and no rule of others, and creates no
// chain or table where a firewall has none. The exception is firewalld, in which it makes a zone
// and policies. If it cannot change a chain, it returns a Finding, which names the table, the
// chain, the rule and the remedy.
//
// Start reading at Firewall.Ensure.
package firewall

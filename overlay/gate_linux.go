package overlay

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// A gate is a chain of nftables at the ingress hook of one interface, in the table
// `netdev tombolo`. It passes on what the guard of the interface stops (guard_linux.go), so that
// packets arrive only while nftables has it:
//
//	interface --guard: type "other host"--> gate: type "multicast" --> chain source: type "host" --> policy
//
// A table of the family inet cannot change a packet's type at this hook, and the kernel drops
// packets for another host before all other hooks. So the gates are not in the table of the
// policy. They are not written with it either: before kernel 6.16 a chain needs an interface that
// exists, and one container that ends would make the whole transaction fail.

// gateComment is the comment of a gate's only rule. It changes when the rule does, so that the gates of
// another version are replaced.
const gateComment = "the guard stops what does not pass here"

// pktTypeMulticast is PACKET_MULTICAST of linux/if_packet.h.
const pktTypeMulticast = 2

// gate adds the gate of an interface, which must exist, or writes it anew.
func (b *batch) gate(device string) {
	b.family = unix.NFPROTO_NETDEV
	b.change(unix.NFT_MSG_NEWTABLE, unix.NLM_F_CREATE, nl.NewRtAttr(unix.NFTA_TABLE_NAME, nl.ZeroTerminated(tableName)))
	hook := nl.NewRtAttr(unix.NFTA_CHAIN_HOOK|unix.NLA_F_NESTED, nil)
	hook.AddRtAttr(unix.NFTA_HOOK_HOOKNUM, nl32(unix.NF_NETDEV_INGRESS))
	hook.AddRtAttr(unix.NFTA_HOOK_PRIORITY, nl32(0))
	hook.AddRtAttr(unix.NFTA_HOOK_DEV, nl.ZeroTerminated(device))
	b.change(unix.NFT_MSG_NEWCHAIN, unix.NLM_F_CREATE, tableAttr(unix.NFTA_CHAIN_TABLE),
		nl.NewRtAttr(unix.NFTA_CHAIN_NAME, nl.ZeroTerminated(device)), hook, nl.NewRtAttr(unix.NFTA_CHAIN_TYPE, nl.ZeroTerminated("filter")))
	chain := nl.NewRtAttr(unix.NFTA_RULE_CHAIN, nl.ZeroTerminated(device))
	b.change(unix.NFT_MSG_DELRULE, 0, tableAttr(unix.NFTA_RULE_TABLE), chain) // all rules of the chain
	rule := nl.NewRtAttr(unix.NFTA_RULE_EXPRESSIONS|unix.NLA_F_NESTED, nil)
	for _, e := range setPacketType(pktTypeMulticast) {
		rule.AddChild(e)
	}
	b.change(unix.NFT_MSG_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_APPEND, tableAttr(unix.NFTA_RULE_TABLE), chain, rule,
		nl.NewRtAttr(unix.NFTA_RULE_USERDATA, commentData(gateComment)))
	b.family = 0
}

// openGate writes a gate if the generation of nftables is still gen: the gate must not open while
// the policy is missing.
func openGate(device string, gen uint32) error {
	var b batch
	b.beginAt(gen)
	b.gate(device)
	b.end()
	err := b.send()
	if errors.Is(err, unix.ERESTART) {
		return fmt.Errorf("write the chain %s of the nftables table netdev %s: another program has just changed nftables", device, tableName)
	}
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EAFNOSUPPORT) {
		err = fmt.Errorf("%w: no tables of the family netdev (CONFIG_NF_TABLES_NETDEV): %w", ErrNoGuard, err)
	}
	if err != nil {
		return fmt.Errorf("write the chain %s of the nftables table netdev %s: %w", device, tableName, err)
	}
	return nil
}

// bindAndOpen adds e's elements to the table of the policy and opens the gate of its interface. If
// that table is missing, neither happens.
func bindAndOpen(e Endpoint) error {
	elements := contents{}
	elements.bind(e)
	var b batch
	b.begin()
	b.elements(unix.NFT_MSG_NEWSETELEM, unix.NLM_F_CREATE, elements)
	b.gate(HostSide(e.ID))
	b.end()
	if err := b.send(); err != nil {
		return fmt.Errorf("open the gate of %s: %w", e.ID, err)
	}
	return nil
}

// setPacketType returns the expressions of `meta pkttype set kind`.
func setPacketType(kind byte) []*nl.RtAttr {
	data := nl.NewRtAttr(unix.NFTA_IMMEDIATE_DATA|unix.NLA_F_NESTED, nil)
	data.AddRtAttr(unix.NFTA_DATA_VALUE, []byte{kind, 0, 0, 0})
	return []*nl.RtAttr{
		expression("immediate", register(unix.NFTA_IMMEDIATE_DREG), data),
		expression("meta", attr32(unix.NFTA_META_KEY, unix.NFT_META_PKTTYPE), register(unix.NFTA_META_SREG)),
	}
}

// commentData returns the user data in which nft finds the comment of a rule.
func commentData(comment string) []byte {
	const kind = 0 // NFTNL_UDATA_RULE_COMMENT of libnftnl/udata.h
	return append([]byte{kind, byte(len(comment) + 1)}, nl.ZeroTerminated(comment)...)
}

// closeGate removes the chain of an interface that is gone. Kernels before 6.16 have removed it
// with the interface.
func closeGate(device string) error {
	b := batch{family: unix.NFPROTO_NETDEV}
	b.begin()
	b.change(unix.NFT_MSG_DELCHAIN, 0, tableAttr(unix.NFTA_CHAIN_TABLE), nl.NewRtAttr(unix.NFTA_CHAIN_NAME, nl.ZeroTerminated(device)))
	b.end()
	if err := b.send(); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove the chain %s of the nftables table netdev %s: %w", device, tableName, err)
	}
	return nil
}

// gates says of each chain in the table of the gates, by its name, whether its rules are ours. A
// chain that is missing, and one without rules, is not in it.
type gates map[string]bool

// readGates reads the gates from the kernel.
func readGates() (gates, error) {
	found := gates{}
	rules, err := askFamily(unix.NFPROTO_NETDEV, unix.NFT_MSG_GETRULE, unix.NLM_F_DUMP, tableAttr(unix.NFTA_RULE_TABLE))
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return nil, fmt.Errorf("read nftables rules: %w", err)
	}
	for _, m := range rules {
		chain, comment := gateRule(m[nfgenLen:])
		_, another := found[chain]
		found[chain] = !another && bytes.Equal(comment, commentData(gateComment))
	}
	return found, nil
}

func gateRule(message []byte) (chain string, userdata []byte) {
	for _, a := range attributes(message) {
		switch a.kind {
		case unix.NFTA_RULE_CHAIN:
			chain = cString(a.value)
		case unix.NFTA_RULE_USERDATA:
			userdata = slices.Clone(a.value)
		}
	}
	return chain, userdata
}

// openGate makes the gate of an interface right, unless it is.
func (m *match) openGate(device string) error {
	if m.gates[device] {
		return nil
	}
	what := Repair{KindPolicy, "netdev " + tableName}
	if !slices.Contains(m.done, what) { // another program removes them all at once
		m.done = append(m.done, what)
	}
	if err := openGate(device, m.table.gen); err != nil {
		return err
	}
	return m.table.noteOwnChange()
}

// closeGates removes the gates of interfaces that are gone.
func (m *match) closeGates() error {
	var errs []error
	for name := range m.gates {
		if name == Device || m.found[name] != nil {
			continue
		}
		if err := closeGate(name); err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, m.table.noteOwnChange())
	}
	return errors.Join(errs...)
}

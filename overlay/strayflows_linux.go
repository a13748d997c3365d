package overlay

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The kernel translates only the first packet of a tracked connection by the rules; the others
// follow it. A UDP client with a fixed port that never pauses would so stay with an old target
// for ever. If it began while the port was published nowhere, its datagrams would never be
// translated at all. Such flows are strays, and are deleted when the port changes. Established
// TCP connections are no strays, because the old target may be finishing its work.

// straySettle is the time between a change of published ports and the second search for
// strays. It finds those of packets that were on their way through the kernel during the change.
const straySettle = 500 * time.Millisecond

// strayFlows finds the strays of the published ports that have changed lately.
type strayFlows struct {
	was map[string]map[string]bool // port -> the targets that it led to, of each port that changed; as in targetsByPort
	now map[string]map[string]bool // port -> targets, of all ports
}

// republished deletes the strays of the ports with elements in removed or added. now has the
// contents of all sets. The ports stay pending, so that again finds what was missed.
func (s *strayFlows) republished(removed, added, now contents) error {
	changed := changedPorts(removed, added)
	s.now = now.targetsByPort()
	if len(changed) == 0 {
		return nil
	}
	for port, targets := range s.was { // not into s.was, because deleteStrays may be reading it
		if changed[port] == nil {
			changed[port] = map[string]bool{}
		}
		maps.Copy(changed[port], targets)
	}
	s.was = changed
	return s.delete()
}

// changedPorts returns the former targets of each port that has elements in removed or added.
func changedPorts(removed, added contents) map[string]map[string]bool {
	changed := removed.targetsByPort()
	for port := range added.targetsByPort() {
		if changed[port] == nil {
			changed[port] = map[string]bool{}
		}
	}
	return changed
}

func (s *strayFlows) pending() bool { return len(s.was) > 0 }

// deleteStrays searches for the pending ports' strays once more. An error leaves them pending.
func (o *Overlay) deleteStrays() {
	o.mu.Lock()
	pending := o.table.stray
	o.table.stray.was = nil
	o.mu.Unlock()
	if !pending.pending() {
		return
	}
	// On a busy host this takes a while: others can attach meanwhile.
	if err := inside(o.ns, pending.delete); err != nil {
		o.log.Warn("datagrams to published ports may go to former targets", "err", err)
		o.mu.Lock()
		if o.table.stray.was == nil {
			o.table.stray.was = pending.was
		}
		o.mu.Unlock()
		o.moved.Notify()
	}
}

func (s *strayFlows) delete() error {
	own, err := ownAddrs()
	if err != nil {
		return err
	}
	stray := func(flow *netlink.ConntrackFlow) bool { return s.has(flow, own) }
	var errs []error
	for suffix, family := range map[string]netlink.InetFamily{"4": unix.AF_INET, "6": unix.AF_INET6} {
		if s.affects(suffix) {
			errs = append(errs, deleteConnections(family, stray))
		}
	}
	return errors.Join(errs...)
}

// affects reports whether a changed port belongs to the address family "4" or "6".
func (s *strayFlows) affects(family string) bool {
	for port := range s.was {
		if hasFamily(port, family) {
			return true
		}
	}
	return false
}

// has reports whether a flow is the stray of a changed port. own has the host's addresses.
func (s *strayFlows) has(flow *netlink.ConntrackFlow, own map[netip.Addr]bool) bool {
	if established(flow) {
		return false
	}
	entered, answers := addrOf(flow.Forward.DstIP), addrOf(flow.Reverse.SrcIP)
	if !answers.IsValid() || !entered.IsLoopback() && !own[entered] {
		return false
	}
	at, anywhere := portKeys(flow, entered)
	targets, was := s.now[at], s.was[at]
	if targets == nil { // the port is not published for this address alone
		targets = s.now[anywhere]
		if was == nil {
			was = s.was[anywhere]
		}
	}
	target := addrField(answers) + portField(flow.Reverse.SrcPort)
	switch {
	case was == nil:
		return false // the port has not changed
	case len(targets) == 0:
		return was[target]
	}
	return !targets[target]
}

// ownAddrs returns the addresses of this network namespace.
func ownAddrs() (map[netip.Addr]bool, error) {
	list, err := dumpAddrs()
	if err != nil {
		return nil, fmt.Errorf("list the host's addresses: %w", err)
	}
	own := map[netip.Addr]bool{}
	for _, a := range list {
		own[addrOf(a.IP)] = true
	}
	return own, nil
}

// portKeys returns the keys, as in contents.targetsByPort, of the two host ports that a flow
// may have come to: the port of that address alone, and the port of every address.
func portKeys(flow *netlink.ConntrackFlow, entered netip.Addr) (at, anywhere string) {
	key := string([]byte{flow.Forward.Protocol, 0, 0, 0}) + portField(flow.Forward.DstPort)
	return family("at", entered) + addrField(entered) + key, family("any", entered) + key
}

const (
	protoTCP   = 6
	tcpSynSent = 1 // TCP_CONNTRACK_SYN_SENT of enum tcp_conntrack
)

func established(flow *netlink.ConntrackFlow) bool {
	tcp, ok := flow.ProtoInfo.(*netlink.ProtoInfoTCP)
	return flow.Forward.Protocol == protoTCP && ok && tcp.State > tcpSynSent
}

package overlay

import (
	"errors"
	"maps"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
)

// cutRevoked deletes the tracked connections of the Revocations of c that are new since the
// last call. The policy without these permissions is in the kernel already, so no connection
// can begin with one of them meanwhile.
func (o *Overlay) cutRevoked(c Config) error {
	fresh := map[string]Revocation{}
	now := map[string]bool{}
	for _, r := range c.Revoked {
		if now[r.key()] = true; !o.cut[r.key()] {
			fresh[r.key()] = r
		}
	}
	maps.DeleteFunc(o.cut, func(key string, _ bool) bool { return !now[key] })
	if err := deleteRevoked(fresh); err != nil {
		return err // the next Set tries again
	}
	for key := range fresh {
		o.cut[key] = true
	}
	return nil
}

func deleteRevoked(all map[string]Revocation) error {
	byFrom := map[netlink.InetFamily]map[netip.Addr][]Revocation{}
	var errs []error
	for _, r := range all {
		if !r.To.IsValid() {
			errs = append(errs, deleteConnectionsTo(r.From))
			continue
		}
		family := inetFamily(r.From)
		if byFrom[family] == nil {
			byFrom[family] = map[netip.Addr][]Revocation{}
		}
		byFrom[family][r.From] = append(byFrom[family][r.From], r)
	}
	for family, revoked := range byFrom {
		errs = append(errs, deleteConnections(family, func(flow *netlink.ConntrackFlow) bool {
			return slices.ContainsFunc(revoked[addrOf(flow.Forward.SrcIP)], func(r Revocation) bool { return r.carried(flow) })
		}))
	}
	return errors.Join(errs...)
}

// carried reports whether the flow, which From began, needed the permission that was taken
// back. The source of its answers is the container that it leads to, also where it began at
// a translated address.
func (r Revocation) carried(flow *netlink.ConntrackFlow) bool {
	if addrOf(flow.Reverse.SrcIP) != r.To {
		return false
	}
	for _, p := range r.Still {
		if p.Port == flow.Reverse.SrcPort && protoNumbers[p.Proto] == flow.Forward.Protocol {
			return false
		}
	}
	return true
}

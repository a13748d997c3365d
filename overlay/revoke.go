package overlay

import (
	"fmt"
	"net/netip"
)

// Revocation says that a permission was taken back, so that connections which began with it
// must end. A permission that merely is not in Config.Groups any more ends no connection: a
// restarted linker begins with an incomplete catalog.
//
// Set deletes the tracked connections of each Revocation once. While one is in the Config and
// nothing is left of the permission, packets between the two addresses are refused in both
// directions, established connections too. Without that, a late answer of To would be tracked
// as a new connection, and packets of From would pass as its answers.
type Revocation struct {
	ID    string // tells apart those of two containers that had one address, one after the other
	From  netip.Addr
	To    netip.Addr // the zero value means everybody: the container that had the address From has ended
	Still []HostPort // the ports of To that From may still reach
	Back  bool       // To may reach From
}

// whole reports whether nothing is permitted between the two any more.
func (r Revocation) whole() bool { return r.To.IsValid() && len(r.Still) == 0 && !r.Back }

func (r Revocation) key() string { return fmt.Sprint(r) }

func (c contents) revoke(r Revocation) {
	if !r.whole() || r.From.Is4() != r.To.Is4() {
		return
	}
	c.add(family("revoked", r.From), addrField(r.From)+addrField(r.To), "")
	c.add(family("revoked", r.From), addrField(r.To)+addrField(r.From), "")
}

package linker

import (
	"net/netip"

	"tombolo/linker/attach"
	"tombolo/linker/block"
	"tombolo/linker/ipam"
	"tombolo/linker/record"
	"tombolo/overlay"
)

// viewer tells the DNS server what an asker may see.
type viewer struct {
	table     *attach.Table
	block     *block.Keeper
	effective *effectiveCache
}

// View implements dns.Viewer. Only this host's containers and the host itself are known.
// The table of endpoints says which container has an address now; its record says what
// the container is, and comes later. A record alone would not do: it may still be that
// of the address's former holder.
func (v viewer) View(from netip.Addr) (view *record.View, known bool) {
	if id, ok := v.table.EndpointAt(from); ok {
		return v.effective.get().view(id), true
	}
	if from.IsLoopback() || from == overlay.Gateway4 {
		return v.effective.get().view(hostAsker), true
	}
	claim := v.block.Current()
	if claim == nil {
		return nil, false
	}
	for _, prefix := range []netip.Prefix{claim.Block4, claim.Block6} {
		switch {
		case from == ipam.HostAddr(prefix):
			return v.effective.get().view(hostAsker), true
		case prefix.Contains(from):
			return nil, true // the table was lost, and Docker has not listed the endpoint yet
		}
	}
	return nil, false
}

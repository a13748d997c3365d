package linker

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"tombolo/linker/attach"
	"tombolo/linker/block"
	"tombolo/linker/reach"
	"tombolo/linker/record"
	"tombolo/linker/vip"
	"tombolo/overlay"
)

// effectiveCatalog is the catalog as this host acts on it: without the endpoints of
// hosts to which it sends no packets. Policy, DNS answers and published ports derive
// from the same one. It is immutable, except that it computes views when they are
// first asked for.
type effectiveCatalog struct {
	source *record.Snapshot // the whole catalog
	claim  *block.Claim     // this host's block; nil: none yet

	*record.Snapshot // without the endpoints of hosts that are left out
	*reach.Relation
	services []service
	self     *record.Host
	pool6    netip.Prefix // unset: this host's containers have no IPv6 addresses
	peers    []overlay.Peer
	excluded error // names the hosts that are left out because of their pools

	misplaced error // names the endpoints whose addresses are not their hosts'

	unaddressed error // names the services without an address, and says why the addresses are not saved

	mu    sync.Mutex
	views map[string]*record.View // by Endpoint.Key
}

// claims is this host's claim of a block: block.Keeper.
type claims interface {
	Current() *block.Claim
	Watch() (changes <-chan struct{}, cancel func())
}

// effectiveCache derives the effective catalog, once for each change.
type effectiveCache struct {
	host         thisHost
	block        claims
	pool4, pool6 netip.Prefix
	vips         *vip.Book

	last atomic.Pointer[effectiveCatalog]
	mu   sync.Mutex // held while the next one is derived
}

// get returns the effective catalog as of now. While nothing changes, it returns the
// same one.
func (c *effectiveCache) get() *effectiveCatalog {
	source, claim := c.host.catalog.Snapshot(), c.block.Current()
	if e := c.last.Load(); e.derivesFrom(source, claim) {
		return e
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.last.Load()
	if !e.derivesFrom(source, claim) { // no other goroutine derived it meanwhile
		e = c.derive(source, claim)
		c.last.Store(e)
	}
	return e
}

func (e *effectiveCatalog) derivesFrom(source *record.Snapshot, claim *block.Claim) bool {
	return e != nil && e.source == source && e.claim == claim
}

func (c *effectiveCache) derive(source *record.Snapshot, claim *block.Claim) *effectiveCatalog {
	e := &effectiveCatalog{
		source: source, claim: claim, self: c.host.record(claim, record.HoldSettled), views: map[string]*record.View{},
	}
	if e.self.Block6.IsValid() { // a block that is older than the configuration of this IPv6 pool has none
		e.pool6 = c.pool6
	}
	e.peers, e.excluded = peers(source, e.self, c.pool4, e.pool6)
	e.Snapshot, e.misplaced = reachable(source, e.self, e.peers)
	e.Relation = reach.Of(e.Snapshot)
	e.services, e.unaddressed = assign(c.vips, e.Services(e.self.Key()), e.pool6)
	e.Relation = e.WithAddresses(addressesOf(e.services))
	return e
}

// addressesElsewhere returns the addresses of those endpoints of other hosts for which which
// returns true, sorted.
func (e *effectiveCatalog) addressesElsewhere(which func(key string) bool) []netip.Addr {
	var some []*record.Endpoint
	for key, ep := range e.Endpoints {
		if ep.Host != e.self.Key() && which(key) {
			some = append(some, ep)
		}
	}
	return addresses(some)
}

// localKey returns the key of this host's endpoint with an ID.
func (e *effectiveCatalog) localKey(id string) string { return record.EndpointKey(e.self.Key(), id) }

// local returns the record of this host's endpoint with an ID; nil: it is not identified yet.
func (e *effectiveCatalog) local(id string) *record.Endpoint { return e.Endpoints[e.localKey(id)] }

// hostAsker stands for the host itself among the askers; no endpoint has that key.
const hostAsker = ""

// view returns what an endpoint of this host, or the host itself, may see. It computes a
// view once. It returns nil for an endpoint without a record of this host.
func (e *effectiveCatalog) view(asker string) *record.View {
	e.mu.Lock()
	defer e.mu.Unlock()
	if v := e.views[asker]; v != nil {
		return v
	}
	var v record.View
	switch ep := e.Endpoints[asker]; {
	case asker == hostAsker:
		v = e.HostView()
	case ep == nil || ep.Host != e.self.Key():
		return nil
	default:
		v = e.Names(asker)
	}
	e.views[asker] = &v
	return &v
}

// viewer tells the DNS server what an asker may see.
type viewer struct {
	table     *attach.Table
	effective *effectiveCache
}

// View implements dns.Viewer. Only this host's containers and the host itself are known.
// The table of endpoints says which container has an address now; its record says what
// the container is, and comes later. A record alone would not do: it may still be that
// of the address's former holder.
func (v viewer) View(from netip.Addr) (view *record.View, known bool) {
	id, ok := v.table.EndpointAt(from)
	e := v.effective.get()
	switch {
	case ok:
		return e.view(e.localKey(id)), true
	case from.IsLoopback(), from == overlay.Gateway4, from == e.self.Overlay4, from == e.self.Overlay6:
		return e.view(hostAsker), true
	case e.self.Block4.Contains(from), e.self.Block6.Contains(from):
		return nil, true // the table was lost, and Docker has not listed the endpoint yet
	}
	return nil, false
}

package linker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"tombolo/linker/reach"
	"tombolo/linker/record"
	"tombolo/overlay"
)

// retryAfter spaces attempts to make the kernel match. Once it does, the data plane
// itself sees to it that it stays so.
const retryAfter = time.Second

// converge makes the kernel match the catalog and the table of endpoints, whenever
// one of them has changed. Changes that come while it works are one.
func (l *Linker) converge(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-l.adopted: // else interfaces in use would be taken for leftovers
	}
	fromCatalog, stop := l.catalog.Watch()
	defer stop()
	fromTable, stop := l.table.Watch()
	defer stop()
	var done *overlay.Config // what the kernel matches; nil: it may match nothing
	retry := time.NewTicker(retryAfter)
	defer retry.Stop()
	for {
		if w := l.worlds.get(); w.mine != nil {
			want, conflict := l.compile(w)
			if l.problems.set(portsProblem, conflict) && conflict != nil {
				l.log.Warn("published ports are in conflict", "err", conflict)
			}
			if l.problems.set(poolsProblem, w.strays) && w.strays != nil {
				l.log.Warn("hosts are left out", "err", w.strays)
			}
			if done == nil || !reflect.DeepEqual(want, *done) {
				err := l.set(ctx, want)
				if ctx.Err() != nil || isFinal(err) {
					return err
				}
				if done = &want; err != nil {
					done = nil
				}
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-fromCatalog:
		case <-fromTable:
		case <-l.block: // the block is another
		case <-retryIf(done == nil, retry.C):
		}
	}
}

// retryIf is a tick where something is to be done again, and else never comes.
func retryIf(again bool, tick <-chan time.Time) <-chan time.Time {
	if again {
		return tick
	}
	return nil
}

// set makes the kernel match c. Most changes of the catalog never come here: they
// leave the Config as it was.
func (l *Linker) set(ctx context.Context, c overlay.Config) error {
	err := l.plane.Set(ctx, c)
	if ctx.Err() != nil {
		return nil
	}
	if err == nil {
		l.setOnce.Do(func() { close(l.isSet) })
	}
	if l.problems.set("overlay", err) && err != nil {
		l.log.Warn("the kernel does not match yet", "err", err)
	}
	return err
}

// mended hears from the data plane what it could not make good of what others broke.
func (l *Linker) mended(err error) { l.problems.set("overlay", err) }

// recheckPool is how often the host's own routes are looked at.
const recheckPool = 30 * time.Second

// watchPool says so when somebody, a VPN perhaps, has come to route a part of the
// pool elsewhere. At the start that is an error; now containers are at work.
func (l *Linker) watchPool(ctx context.Context) error {
	tick := time.NewTicker(recheckPool)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := l.checkPool(l.cfg.Pool4, l.cfg.Pool6); l.problems.set("pool", err) && err != nil {
			l.log.Error("part of the pool is routed elsewhere", "err", err)
		}
	}
}

// isFinal reports whether err is one that waiting does not mend.
func isFinal(err error) bool {
	return errors.Is(err, overlay.ErrNoVXLAN) || errors.Is(err, overlay.ErrPortInUse)
}

// compile is the whole wanted state of this host's data plane. The error says which
// published ports it leaves out.
func (l *Linker) compile(w *world) (overlay.Config, error) {
	own := l.host(*w.mine, time.Time{})
	cfg := overlay.Config{
		Self: peer(own), Pool4: l.cfg.Pool4, Pool6: l.pool6(*w.mine), Peers: w.peers,
		VNI: l.cfg.VNI, Port: l.cfg.VXLANPort, DNSPort: l.dnsPort, Blocked: l.blocked(),
	}
	eps := l.table.Snapshot()
	for _, ep := range eps {
		if ep.Joined {
			// Nobody can say yet of an unknown one that it may leave the pool.
			known := w.s.Endpoints[ep.ID]
			internal := known == nil || known.Internal
			cfg.Endpoints = append(cfg.Endpoints, overlay.Endpoint{
				ID: ep.ID, Addr4: ep.Addr4, Addr6: ep.Addr6, Sandbox: ep.Sandbox, Internal: internal,
			})
		}
	}
	for _, g := range w.Grants(own.Name) {
		cfg.Allow = append(cfg.Allow, allows(g)...)
	}
	var conflict error
	cfg.Publish, conflict = publications(eps, w.s, w.Relation)
	return cfg, conflict
}

// pool6 is unset where the block is from before there was this IPv6 pool.
func (l *Linker) pool6(c claim) netip.Prefix {
	if !c.Block6.IsValid() {
		return netip.Prefix{}
	}
	return l.cfg.Pool6
}

// peers are the other hosts, by name, as far as their blocks are of our pools: a
// host with another pool would take traffic that is none of the overlay's. Of two
// claims of one block the first counts, so that every host sends to the same one.
func peers(s *record.Snapshot, own *record.Host, pool4, pool6 netip.Prefix) ([]overlay.Peer, error) {
	var out []overlay.Peer
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(s.Hosts)) {
		h := s.Hosts[name]
		if name == own.Name || !h.Block4.IsValid() {
			continue
		}
		if !within(h.Block4, pool4) {
			errs = append(errs, fmt.Errorf("host %s uses another pool: its block %s is not of %s", name, h.Block4, pool4))
			continue
		}
		rival := holder(s, pool4, name, h.Block4)
		if h.Block4.Overlaps(own.Block4) || (rival != nil && older(rival, h)) {
			continue
		}
		p := peer(h)
		if pool6.IsValid() && h.Block6.IsValid() && !within(h.Block6, pool6) {
			errs = append(errs, fmt.Errorf("host %s uses another IPv6 pool: its block %s is not of %s", name, h.Block6, pool6))
			p.Block6, p.Overlay6 = netip.Prefix{}, netip.Addr{}
		}
		out = append(out, p)
	}
	return out, errors.Join(errs...)
}

// blocked are the ports of the host that containers may not reach: the linker's
// own, Docker's and Mesos'.
func (l *Linker) blocked() []overlay.HostPort {
	ports := []overlay.HostPort{{Port: l.cfg.GossipPort, Proto: "tcp"}, {Port: l.cfg.GossipPort, Proto: "udp"}, {Port: l.cfg.VXLANPort, Proto: "udp"}}
	for _, p := range []uint16{2375, 2376, 5050, 5051, 7070, 7981, 7982} {
		ports = append(ports, overlay.HostPort{Port: p, Proto: "tcp"})
	}
	return ports
}

// allows is a grant in addresses, once for each family that both ends have.
func allows(g reach.Grant) []overlay.Allow {
	var ports []overlay.HostPort
	for _, p := range g.Ports {
		ports = append(ports, overlay.HostPort{Port: p.Number, Proto: p.Proto})
	}
	var out []overlay.Allow
	for _, pair := range [][2]netip.Addr{{g.From.Addr4, g.To.Addr4}, {g.From.Addr6, g.To.Addr6}} {
		if pair[0].IsValid() && pair[1].IsValid() {
			out = append(out, overlay.Allow{From: pair[0], To: pair[1], Ports: ports})
		}
	}
	return out
}

func peer(h *record.Host) overlay.Peer {
	mac, err := net.ParseMAC(h.MAC)
	if err != nil && h.Overlay4.IsValid() {
		mac = overlay.HardwareAddr(h.Overlay4) // what every linker of ours uses
	}
	return overlay.Peer{
		Name: h.Name, Underlay: h.Underlay, Block4: h.Block4, Block6: h.Block6,
		Overlay4: h.Overlay4, Overlay6: h.Overlay6, MAC: mac,
	}
}

// interfaces is the overlay as the plugin reaches it: an endpoint that comes before
// the kernel first matched waits, as long as Docker's call may take.
type interfaces struct{ l *Linker }

// Attach implements attach.Interfaces.
func (i interfaces) Attach(ctx context.Context, ep overlay.Endpoint) (overlay.Interface, error) {
	select {
	case <-i.l.isSet:
		return i.l.plane.Attach(ctx, ep)
	case <-ctx.Done():
		return overlay.Interface{}, errors.New("the overlay of this host is not ready: " + firstOr(i.l.problems.list(), "it is being set up"))
	}
}

// Detach implements attach.Interfaces.
func (i interfaces) Detach(ctx context.Context, id string) error { return i.l.plane.Detach(ctx, id) }

func firstOr(list []string, otherwise string) string {
	if len(list) > 0 {
		return list[0]
	}
	return otherwise
}

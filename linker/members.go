package linker

import (
	"context"
	"time"

	"tombolo/linker/gossip"
)

// members turns gossip's view of who is there into suspensions.
type members struct {
	l      *Linker
	change chan gossip.Member // unbuffered: events come one at a time, in order
}

// Alive implements gossip.Events.
func (m members) Alive(g gossip.Member) { m.tell(g) }

// Dead implements gossip.Events.
func (m members) Dead(g gossip.Member) { m.tell(g) }

// Left implements gossip.Events.
func (m members) Left(g gossip.Member) { m.tell(g) }

func (m members) tell(g gossip.Member) {
	select {
	case m.change <- g:
	case <-m.l.ended:
	}
}

// run suspends the records of hosts that are dead, and resumes those of hosts that
// came back. A host that said that it restarts has until its record's Restart.
func (m members) run(ctx context.Context) error {
	awaited := map[string]time.Time{} // silent hosts that have time left
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case g := <-m.change:
			delete(awaited, g.Name)
			switch g.State {
			case gossip.StateAlive:
				m.alive(g)
			case gossip.StateDead:
				if h := m.l.catalog.Snapshot().Hosts[g.Name]; h != nil && time.Now().Before(h.Restart) {
					awaited[g.Name] = h.Restart
					continue
				}
				m.suspend(g.Name, "dead")
			case gossip.StateLeft:
				m.suspend(g.Name, "left")
			}
		case now := <-tick.C:
			for name, until := range awaited {
				if now.After(until) {
					delete(awaited, name)
					m.suspend(name, "not back from its restart")
				}
			}
		}
	}
}

func (m members) alive(g gossip.Member) {
	m.l.log.Info("host alive", "host", g.Name, "addr", g.Addr)
	m.l.catalog.Resume(g.Name)
	if err := m.l.saved.member(g.Name, g.Addr); err != nil {
		m.l.log.Warn("cannot remember a host", "host", g.Name, "err", err)
	}
}

func (m members) suspend(name, why string) {
	m.l.log.Warn("host suspended", "host", name, "why", why)
	m.l.catalog.Suspend(name)
}

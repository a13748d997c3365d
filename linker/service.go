package linker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"

	"tombolo/linker/api"
	"tombolo/linker/catalog"
	"tombolo/linker/docker"
	"tombolo/linker/gossip"
	"tombolo/linker/record"
)

// service is the linker as its API shows it.
type service struct{ l *Linker }

// Status implements api.Host.
func (s service) Status(context.Context) (api.Status, error) {
	l := s.l
	st := api.Status{Version: l.cfg.Version, Started: l.started, Problems: l.problems.list(), Counters: l.counters()}
	var c claim
	if have := l.claimed.Load(); have != nil {
		c = *have
	}
	st.Host = *l.host(c, time.Time{})
	hosts := l.catalog.Snapshot().Hosts
	for _, m := range l.gossip.Members() {
		p := api.Peer{Name: m.Name, Underlay: m.Addr.Addr().String(), State: peerState(m.State)}
		if h := hosts[m.Name]; h != nil {
			p.Underlay = h.Underlay.String()
		}
		st.Peers = append(st.Peers, p)
	}
	st.Ready = !l.problems.grave() && s.set() && l.docker.Snapshot().NetworkID != ""
	return st, nil
}

// set reports whether the kernel has matched once.
func (s service) set() bool {
	select {
	case <-s.l.isSet:
		return true
	default:
		return false
	}
}

func peerState(state gossip.State) string {
	if state == gossip.StateDead {
		return "suspended"
	}
	return string(state)
}

// PutApp implements api.Apps.
func (s service) PutApp(_ context.Context, r record.Record) error {
	switch err := s.l.catalog.PutApp(r); {
	case errors.Is(err, catalog.ErrStale):
		return fmt.Errorf("%w: %w", api.ErrStale, err)
	case err != nil:
		return fmt.Errorf("%w: %w", api.ErrInvalid, err)
	}
	return nil
}

// Resolve implements api.Host. It asks what DNS asks.
func (s service) Resolve(_ context.Context, name, from string) (api.Resolution, error) {
	w := s.l.worlds.get()
	view := w.view(hostAsker)
	if from != "" {
		ep, err := findEndpoint(w.s, from)
		if err != nil {
			return api.Resolution{}, err
		}
		theirs := w.Names(ep.ID) // of another host's container, too
		view = &theirs
	}
	full, targets, exists := s.l.zone.Lookup(view, name)
	return api.Resolution{Name: full, Exists: exists, Targets: targets}, nil
}

// findEndpoint looks a container up by an address, by its ID or the beginning of it,
// by its name, or as HOST/NAME where several hosts have one of that name.
func findEndpoint(s *record.Snapshot, who string) (*record.Endpoint, error) {
	var exact, begin []*record.Endpoint
	for _, ep := range s.Endpoints {
		switch {
		case ep.Addr4.String() == who, ep.Addr6.IsValid() && ep.Addr6.String() == who,
			ep.Container == who, ep.ContainerName == who, ep.Host+"/"+ep.ContainerName == who:
			exact = append(exact, ep)
		case len(who) >= 4 && strings.HasPrefix(ep.Container, who):
			begin = append(begin, ep)
		}
	}
	found := exact
	if len(found) == 0 {
		found = begin
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, fmt.Errorf("%w: no container %q on the overlay", api.ErrNotFound, who)
	}
	var names []string
	for _, ep := range found {
		names = append(names, ep.Host+"/"+ep.ContainerName)
	}
	slices.Sort(names)
	return nil, fmt.Errorf("%w: %q may be any of %s", api.ErrInvalid, who, strings.Join(names, ", "))
}

// Logs implements api.Host.
func (s service) Logs(ctx context.Context, container string, o api.LogOptions, line func(api.LogLine) error) error {
	tail := o.Tail
	if tail == 0 {
		tail = -1
	}
	err := s.l.docker.Logs(ctx, container, docker.LogOptions{Follow: o.Follow, Tail: tail}, func(l docker.Line) error {
		return line(api.LogLine{Stream: l.Stream, Time: l.Time, Line: l.Text})
	})
	if errdefs.IsNotFound(err) {
		return fmt.Errorf("%w: %w", api.ErrNotFound, err)
	}
	return err
}

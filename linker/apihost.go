package linker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"

	"tombolo/dns"
	"tombolo/linker/api"
	"tombolo/linker/catalog"
	"tombolo/linker/docker"
	"tombolo/linker/record"
)

// apiHost implements api.Host.
type apiHost struct {
	status
	resolver
	containerLogs
}

// appRecords takes the framework's app records into the catalog.
type appRecords struct{ catalog *catalog.Catalog }

// PutApp implements api.Apps.
func (a appRecords) PutApp(_ context.Context, r record.Record) error {
	switch err := a.catalog.PutApp(r); {
	case errors.Is(err, catalog.ErrStale):
		return fmt.Errorf("%w: %w", api.ErrStale, err)
	case err != nil:
		return fmt.Errorf("%w: %w", api.ErrInvalid, err)
	}
	return nil
}

// resolver answers as the DNS server would.
type resolver struct {
	effective *effectiveCache
	zone      dns.Zone
}

// Resolve implements api.Host. Unlike DNS it also answers for other hosts' containers.
func (r resolver) Resolve(_ context.Context, name, from string) (api.Resolution, error) {
	e := r.effective.get()
	view := e.view(hostAsker)
	if from != "" {
		ep, err := findEndpoint(e.Snapshot, from)
		if err != nil {
			return api.Resolution{}, err
		}
		theirs := e.Names(ep.ID)
		view = &theirs
	}
	full, targets, exists := r.zone.Lookup(view, name)
	return api.Resolution{Name: full, Exists: exists, Targets: targets}, nil
}

// findEndpoint finds a container by one of its addresses, by its name, by its ID or at
// least the first four characters of that, or as HOST/NAME where several hosts have a
// container of that name.
func findEndpoint(s *record.Snapshot, container string) (*record.Endpoint, error) {
	var exact, prefixed []*record.Endpoint
	for _, ep := range s.Endpoints {
		switch {
		case ep.Addr4.String() == container, ep.Addr6.IsValid() && ep.Addr6.String() == container,
			ep.Container == container, ep.ContainerName == container, ep.Host+"/"+ep.ContainerName == container:
			exact = append(exact, ep)
		case len(container) >= 4 && strings.HasPrefix(ep.Container, container):
			prefixed = append(prefixed, ep)
		}
	}
	found := exact
	if len(found) == 0 {
		found = prefixed
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, fmt.Errorf("%w: no container %q on the overlay", api.ErrNotFound, container)
	}
	var names []string
	for _, ep := range found {
		names = append(names, ep.Host+"/"+ep.ContainerName)
	}
	slices.Sort(names)
	return nil, fmt.Errorf("%w: %q may be any of %s", api.ErrInvalid, container, strings.Join(names, ", "))
}

// containerLogs reads logs from Docker.
type containerLogs struct{ docker *docker.Engine }

// Logs implements api.Host.
func (c containerLogs) Logs(ctx context.Context, container string, o api.LogOptions, line func(api.LogLine) error) error {
	tail := o.Tail
	if tail == 0 {
		tail = -1 // all lines
	}
	err := c.docker.Logs(ctx, container, docker.LogOptions{Follow: o.Follow, Tail: tail}, func(l docker.Line) error {
		return line(api.LogLine{Stream: l.Stream, Time: l.Time, Line: l.Text})
	})
	if errdefs.IsNotFound(err) {
		return fmt.Errorf("%w: %w", api.ErrNotFound, err)
	}
	return err
}

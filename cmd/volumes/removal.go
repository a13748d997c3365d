// Package volumes removes the volumes of an app from the hosts of an embedded
// cluster, for `tombolo down --volumes`. It decides before the app is touched whether it
// can: see Plan.
package volumes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"tombolo/cmd/clusterfile"
	"tombolo/cmd/docker"
	"tombolo/cmd/lab"
	"tombolo/cmd/rundir"
	"tombolo/framework"
	"tombolo/framework/app"
	"tombolo/internal/wake"
)

// How often, and for how many times, an Engine is asked again that still uses a volume.
const (
	inUsePause = 250 * time.Millisecond
	inUseTries = 20
)

// Removal says which volumes will be removed, and where. The zero Removal removes none.
type Removal struct {
	app     string
	volumes []string // those that the file names
	engines []string // the DOCKER_HOST of each host
	dead    []string // names of hosts whose Engine does not run
}

// Plan finds the Engines that may hold the app's own volumes: those that its file names, and those
// of its slots, which have its name as a label. api is the target
// of the framework's API. Only an embedded cluster lets it know the Engines: for every
// other cluster it returns an error that says what to do on the hosts.
func Plan(spec app.App, api string) (Removal, error) {
	r := Removal{app: spec.Name}
	for _, volume := range spec.Volumes {
		if !volume.External {
			r.volumes = append(r.volumes, volume.Name)
		}
	}
	slices.Sort(r.volumes)
	holder, err := rundir.At(api).Holder()
	switch {
	case err == nil && holder.Kind == rundir.Machine:
		r.engines = []string{docker.Machine()}
		return r, nil
	case err == nil && holder.Kind == rundir.Cluster:
		err := r.addHosts(holder.Cluster)
		if err != nil && len(r.volumes) == 0 && !hasAnonymous(spec) {
			return Removal{}, nil
		}
		return r, err
	}
	by := strings.Join(r.volumes, " ")
	if hasAnonymous(spec) {
		by = strings.TrimSpace(by + " $(docker volume ls -q --filter " + r.label() + ")")
	}
	if by == "" {
		return Removal{}, nil
	}
	return r, fmt.Errorf("--volumes: the Engines of this cluster's hosts cannot be reached from here; nothing was done "+
		"(instead: tombolo down, and then on the hosts: docker volume rm %s)", by)
}

// label selects the volumes of the app's slots.
func (r Removal) label() string { return "label=" + framework.AppLabel + "=" + r.app }

func hasAnonymous(spec app.App) bool {
	for _, s := range spec.Services {
		if slices.ContainsFunc(s.Mounts, func(m app.Mount) bool { return m.Type == app.MountVolume && m.Source == "" }) {
			return true
		}
	}
	return false
}

// Run removes the volumes and prints which. It stops nothing that uses them.
func (r Removal) Run(ctx context.Context, out io.Writer) error {
	removed := slices.Clone(r.volumes)
	var errs []error
	for _, engine := range r.engines {
		ofSlots, err := docker.Run(ctx, engine, "volume", "ls", "-q", "--filter", r.label())
		errs = append(errs, err)
		names := strings.Fields(ofSlots)
		removed = append(removed, names...)
		for _, name := range append(names, r.volumes...) {
			errs = append(errs, removeVolume(ctx, engine, name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if len(removed) > 0 {
		slices.Sort(removed)
		fmt.Fprintf(out, "removed volumes: %s\n", strings.Join(slices.Compact(removed), ", "))
	}
	if len(r.dead) > 0 {
		fmt.Fprintf(out, "volumes on dead hosts stay: %s\n", strings.Join(r.dead, ", "))
	}
	return nil
}

// addHosts lists the Engines of a cluster file. Hosts of a lab may be dead.
func (r *Removal) addHosts(clusterFile string) error {
	file, err := clusterfile.Read(clusterFile)
	if err != nil {
		return fmt.Errorf("--volumes: %w; nothing was done", err)
	}
	dead := map[string]bool{}
	if l, err := lab.Load(); err == nil {
		for _, h := range l.Hosts {
			dead[h.DockerHost()] = !h.Alive()
		}
	}
	for _, h := range file.Hosts {
		if dead[h.Docker] {
			r.dead = append(r.dead, h.Name)
			continue
		}
		r.engines = append(r.engines, h.Docker)
	}
	return nil
}

// removeVolume retries for a while, because the last container that used the volume may
// still be on its way out.
func removeVolume(ctx context.Context, engine, name string) error {
	for tries := 0; ; tries++ {
		_, err := docker.Run(ctx, engine, "volume", "rm", "-f", name)
		if err == nil {
			return nil
		}
		if tries == inUseTries || !strings.Contains(err.Error(), "in use") || !wake.Sleep(ctx, inUsePause) {
			return fmt.Errorf("remove volume %s on %s: %w", name, engine, err)
		}
	}
}

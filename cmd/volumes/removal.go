// Package volumes removes the named volumes of an app from the hosts of an embedded
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
	volumes []string
	engines []string // the DOCKER_HOST of each host
	dead    []string // names of hosts whose Engine does not run
}

// Plan finds the Engines that may hold the app's own named volumes. api is the target
// of the framework's API. Only an embedded cluster lets it know the Engines: for every
// other cluster it returns an error that says what to do on the hosts.
func Plan(spec app.App, api string) (Removal, error) {
	var r Removal
	for _, volume := range spec.Volumes {
		if !volume.External {
			r.volumes = append(r.volumes, volume.Name)
		}
	}
	if len(r.volumes) == 0 {
		return r, nil
	}
	slices.Sort(r.volumes)
	holder, err := rundir.At(api).Holder()
	switch {
	case err == nil && holder.Kind == rundir.Machine:
		r.engines = []string{docker.Machine()}
		return r, nil
	case err == nil && holder.Kind == rundir.Cluster:
		err := r.addHosts(holder.Cluster)
		return r, err
	}
	return r, fmt.Errorf("--volumes: the Engines of this cluster's hosts cannot be reached from here; nothing was done "+
		"(instead: tombolo down, and then on the hosts: docker volume rm %s)", strings.Join(r.volumes, " "))
}

// Run removes the volumes and prints which. It stops nothing that uses them.
func (r Removal) Run(ctx context.Context, out io.Writer) error {
	if len(r.volumes) == 0 {
		return nil
	}
	var errs []error
	for _, engine := range r.engines {
		for _, name := range r.volumes {
			errs = append(errs, removeVolume(ctx, engine, name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	fmt.Fprintf(out, "removed volumes: %s\n", strings.Join(r.volumes, ", "))
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

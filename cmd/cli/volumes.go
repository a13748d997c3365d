package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"tombolo/cmd/lab"
	"tombolo/framework/app"
)

// volumeRemoval is what `down -v` will remove, and where. It is known before the
// app is touched.
type volumeRemoval struct {
	volumes []string
	engines []string // DOCKER_HOST of each host
	dead    []string // hosts whose Engine cannot be asked
}

// planVolumes finds the Engines that hold the app's own named volumes, which only
// the embedded cluster lets us know. target is the framework's API.
func planVolumes(spec app.App, target string) (volumeRemoval, error) {
	var v volumeRemoval
	for _, volume := range spec.Volumes {
		if !volume.External {
			v.volumes = append(v.volumes, volume.Name)
		}
	}
	if len(v.volumes) == 0 {
		return v, nil
	}
	slices.Sort(v.volumes)
	h, err := daemonAt(target)
	switch {
	case err == nil && h.Kind == kindMachine:
		v.engines = []string{machineDocker()}
		return v, nil
	case err == nil && h.Kind == kindCluster:
		return v, v.addHosts(h.Cluster)
	}
	names := strings.Join(v.volumes, " ")
	return v, fmt.Errorf("--volumes: the hosts of this cluster cannot be asked from here; nothing was done "+
		"(instead: tombolo down, and then on the hosts: docker volume rm %s)", names)
}

// addHosts lists the Engines of a cluster file; hosts of a lab may be dead.
func (v *volumeRemoval) addHosts(clusterFile string) error {
	cluster, err := readCluster(clusterFile)
	if err != nil {
		return fmt.Errorf("--volumes: %w; nothing was done", err)
	}
	dead := map[string]bool{}
	if l, err := lab.Load(); err == nil {
		for _, h := range l.Hosts {
			dead[h.DockerHost()] = !h.Alive()
		}
	}
	for _, h := range cluster.Hosts {
		if dead[h.Docker] {
			v.dead = append(v.dead, h.Name)
			continue
		}
		v.engines = append(v.engines, h.Docker)
	}
	return nil
}

func (v volumeRemoval) run(ctx context.Context, out io.Writer) error {
	if len(v.volumes) == 0 {
		return nil
	}
	var errs []error
	for _, engine := range v.engines {
		for _, name := range v.volumes {
			errs = append(errs, removeVolume(ctx, engine, name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	fmt.Fprintf(out, "removed volumes: %s\n", strings.Join(v.volumes, ", "))
	if len(v.dead) > 0 {
		fmt.Fprintf(out, "what dead hosts hold of them stays: %s\n", strings.Join(v.dead, ", "))
	}
	return nil
}

// removeVolume tries for a while: the last container that used the volume may
// just be going.
func removeVolume(ctx context.Context, host, name string) error {
	for tries := 0; ; tries++ {
		said, err := dockerCommand(ctx, host, "volume", "rm", "-f", name).CombinedOutput()
		if err == nil {
			return nil
		}
		if tries == 20 || ctx.Err() != nil || !strings.Contains(string(said), "in use") {
			return fmt.Errorf("volume %s on %s: %w: %s", name, host, err, oneLine(string(said)))
		}
		select {
		case <-ctx.Done():
		case <-time.After(250 * time.Millisecond):
		}
	}
}

package docker

import (
	"context"
	"fmt"
	"strings"
	"unicode"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// State is what the Engine says about a container at one moment, beyond its Snapshot.
type State struct {
	Status   string // in Docker's words: running, paused, exited, ...
	Attached bool   // it is on our network
	Failed   bool   // the last run of its health check has failed, with the next two fields
	Exit     int    // its exit status; -1: it took too long
	Output   string // what it printed, as one line of printable text
}

// State asks the Engine about a container, by its ID or name. The error is one of
// errdefs.IsNotFound if there is no such container.
func (e *Engine) State(ctx context.Context, container string) (State, error) {
	ctx, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	r, err := e.api.ContainerInspect(ctx, container, client.ContainerInspectOptions{})
	if err != nil {
		return State{}, fmt.Errorf("inspect container: %w", err)
	}
	var out State
	if settings := r.Container.NetworkSettings; settings != nil {
		n := settings.Networks[e.cfg.Network.Name]
		out.Attached = n != nil && n.EndpointID != ""
	}
	st := r.Container.State
	if st == nil {
		return out, nil
	}
	out.Status = string(st.Status)
	if st.Health != nil && len(st.Health.Log) > 0 {
		if last := st.Health.Log[len(st.Health.Log)-1]; last != nil && last.ExitCode != 0 {
			out.Failed, out.Exit, out.Output = true, last.ExitCode, printable(last.Output)
		}
	}
	return out, nil
}

// VolumeExists reports whether the Engine has a volume of that name.
func (e *Engine) VolumeExists(ctx context.Context, name string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	_, err := e.api.VolumeInspect(ctx, name, client.VolumeInspectOptions{})
	switch {
	case err == nil:
		return true, nil
	case errdefs.IsNotFound(err):
		return false, nil
	}
	return false, fmt.Errorf("inspect volume %s: %w", name, err)
}

// RemoveVolume removes a volume with its data. It returns nil if there is none of that name.
func (e *Engine) RemoveVolume(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	if _, err := e.api.VolumeRemove(ctx, name, client.VolumeRemoveOptions{}); err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("remove volume %s: %w", name, err)
	}
	return nil
}

// APIVersion returns the newest version of its API that the Engine has, such as 1.41.
func (e *Engine) APIVersion(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	v, err := e.api.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return "", fmt.Errorf("ask Docker for its version: %w", err)
	}
	return v.APIVersion, nil
}

// printable returns text as one line, without characters that could change a terminal.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	return strings.Join(strings.Fields(text), " ")
}

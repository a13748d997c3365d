package linker

import (
	"context"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"

	"tombolo/linker/api"
	"tombolo/linker/docker"
)

// apiEngine shows this host's Engine to the clients of the API. It implements api.Engine.
type apiEngine struct{ docker *docker.Engine }

func (e apiEngine) Container(ctx context.Context, container string) (api.Container, error) {
	state, err := e.docker.State(ctx, container)
	if errdefs.IsNotFound(err) {
		return api.Container{}, fmt.Errorf("%w: %w", api.ErrNotFound, err)
	}
	if err != nil {
		return api.Container{}, err
	}
	out := api.Container{Status: state.Status, Attached: state.Attached}
	if state.Failed {
		out.Failed = &api.HealthCheck{Exit: state.Exit, Output: lastBytes(state.Output, api.MaxOutput)}
	}
	return out, nil
}

func (e apiEngine) Volume(ctx context.Context, name string) (api.Volume, error) {
	exists, err := e.docker.VolumeExists(ctx, name)
	return api.Volume{Exists: exists}, err
}

// RemoveVolume implements api.Volumes.
func (e apiEngine) RemoveVolume(ctx context.Context, name string) error {
	err := e.docker.RemoveVolume(ctx, name)
	if errdefs.IsConflict(err) {
		return fmt.Errorf("%w: %w", api.ErrInvalid, err)
	}
	return err
}

func (e apiEngine) Version(ctx context.Context) (api.EngineVersion, error) {
	version, err := e.docker.APIVersion(ctx)
	return api.EngineVersion{API: version}, err
}

// lastBytes returns the end of a text in at most n bytes, with a mark if something is cut off.
func lastBytes(text string, n int) string {
	const mark = "…"
	if len(text) <= n {
		return text
	}
	return mark + strings.ToValidUTF8(text[len(text)-n+len(mark):], "")
}

package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"tombolo/internal/wake"
)

const (
	// pingInterval is the pause between two pings while the agent follows the events: an
	// Engine that hangs keeps their stream open.
	pingInterval = 2 * time.Second
	// engineWait bounds a request to the Engine.
	engineWait = 5 * time.Second
)

// dockerEngine is the real Docker.
type dockerEngine struct{ api *client.Client }

// NewDocker returns the Docker of the Engine at host (unix:///…). An empty host means
// the Engine that the docker command uses by default. NewDocker does not connect. The
// result is an io.Closer, too; Close closes idle connections.
func NewDocker(host string) (Docker, error) {
	opts := []client.Opt{client.FromEnv}
	if host != "" {
		opts = []client.Opt{client.WithHost(host)}
	}
	api, err := client.New(opts...)
	if err != nil {
		return nil, fmt.Errorf("docker client for %q: %w", host, err)
	}
	return &dockerEngine{api: api}, nil
}

func (e *dockerEngine) Close() error { return e.api.Close() }

func (e *dockerEngine) Machine(ctx context.Context) (Machine, error) {
	ctx, cancel := context.WithTimeout(ctx, engineWait)
	defer cancel()
	r, err := e.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return Machine{}, fmt.Errorf("ask the Docker Engine for its machine: %w", err)
	}
	return Machine{CPUs: r.Info.NCPU, MemBytes: r.Info.MemTotal}, nil
}

func (e *dockerEngine) Watch(ctx context.Context, changed func(name string)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var pinging sync.WaitGroup
	defer func() { cancel(nil); pinging.Wait() }()
	filters := client.Filters{}.Add("type", "container").Add("event", "start", "die", "destroy")
	stream := e.api.Events(ctx, client.EventsListOptions{Filters: filters})
	pinging.Go(func() { e.ping(ctx, cancel) })
	changed("")
	for {
		select {
		case m := <-stream.Messages:
			if name := m.Actor.Attributes["name"]; strings.HasPrefix(name, namePrefix) {
				changed(name)
			}
		case err := <-stream.Err:
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			return fmt.Errorf("watch the Docker Engine's events: %w", err)
		}
	}
}

// ping cancels a watch when the Engine does not answer.
func (e *dockerEngine) ping(ctx context.Context, cancel context.CancelCauseFunc) {
	for wake.Sleep(ctx, pingInterval) {
		pingCtx, done := context.WithTimeout(ctx, engineWait)
		_, err := e.api.Ping(pingCtx, client.PingOptions{})
		done()
		if err != nil {
			cancel(err)
			return
		}
	}
}

func (e *dockerEngine) List(ctx context.Context) ([]Container, error) {
	ctx, cancel := context.WithTimeout(ctx, engineWait)
	defer cancel()
	r, err := e.api.ContainerList(ctx, client.ContainerListOptions{
		All: true, Filters: client.Filters{}.Add("name", "^/"+namePrefix),
	})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	var all []Container
	for _, item := range r.Items {
		c := Container{Status: string(item.State), Sandbox: sandboxSource(item.Mounts)}
		if len(item.Names) > 0 {
			c.Name = strings.TrimPrefix(item.Names[0], "/")
		}
		all = append(all, c)
	}
	return all, nil
}

func (e *dockerEngine) Inspect(ctx context.Context, name string) (Container, error) {
	r, err := e.api.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
	switch {
	case errdefs.IsNotFound(err):
		return Container{}, ErrNoContainer
	case err != nil:
		return Container{}, fmt.Errorf("inspect %s: %w", name, err)
	}
	return inspected(r)
}

func inspected(r client.ContainerInspectResult) (Container, error) {
	c := Container{Name: strings.TrimPrefix(r.Container.Name, "/"), Sandbox: sandboxSource(r.Container.Mounts)}
	if s := r.Container.State; s != nil {
		c.Status, c.ExitCode = string(s.Status), s.ExitCode
	}
	if n := r.Container.NetworkSettings; n != nil {
		c.Networks = map[string][]netip.Addr{}
		for name, endpoint := range n.Networks {
			for _, a := range []netip.Addr{endpoint.IPAddress, endpoint.GlobalIPv6Address} {
				if a.IsValid() {
					c.Networks[name] = append(c.Networks[name], a)
				}
			}
		}
	}
	// docker inspect prints the Engine's answer in an array, indented by four.
	var out bytes.Buffer
	if err := json.Indent(&out, append(append([]byte("["), r.Raw...), ']'), "", "    "); err != nil {
		return Container{}, fmt.Errorf("inspect %s: %w", c.Name, err)
	}
	c.JSON = append(out.Bytes(), '\n')
	return c, nil
}

func sandboxSource(mounts []container.MountPoint) string {
	for _, m := range mounts {
		if m.Destination == sandboxMount {
			return m.Source
		}
	}
	return ""
}

func (e *dockerEngine) Run(ctx context.Context, c Command) (int, error) {
	env := append(os.Environ(), c.Secrets.env...)
	if c.HealthWords != nil {
		proxy, err := e.newHealthProxy(ctx, c.HealthWords)
		if err != nil {
			return -1, err
		}
		defer proxy.close()
		c.Args, env = through(proxy.host, c.Args), withoutTLS(env)
	}
	files, err := openFiles(c.Secrets.files)
	if err != nil {
		return -1, err
	}
	defer closeFiles(files)
	cmd := exec.CommandContext(ctx, "docker", c.Args...)
	cmd.Env, cmd.ExtraFiles = env, files
	cmd.Stdout, cmd.Stderr = c.Stdout, c.Stderr
	// In a session of its own, so that Ctrl-C in the daemon's terminal does not reach
	// the docker command, which would pass it on to the container.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return ended(ctx, cmd.Run())
}

// ended returns the exit status of a command that has ended with err.
func ended(ctx context.Context, err error) (int, error) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, nil
	case ctx.Err() != nil:
		return -1, ctx.Err()
	case errors.As(err, &exit):
		return exit.ExitCode(), nil
	}
	return -1, fmt.Errorf("run docker: %w", err)
}

package agent

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"slices"
)

// ErrNoContainer is returned for a container that the Engine does not know.
var ErrNoContainer = errors.New("no such container")

// Docker is the Docker of a host. Like Mesos' Docker containerizer, an agent reads with
// the Engine's API and acts with the docker command. agenttest has a Docker without
// containers. Implementations are safe for concurrent use.
type Docker interface {
	Engine
	CommandLine
}

// Engine reads from the API of a Docker Engine.
type Engine interface {
	// Watch calls changed with the name of every mesos-* container that starts, ends
	// or is removed. It first calls changed with "" when it follows the events; it
	// misses what happened before. It returns an error when it loses the Engine or
	// ctx ends.
	Watch(ctx context.Context, changed func(name string)) error
	// List returns all containers named mesos-*, running or not.
	List(ctx context.Context) ([]Container, error)
	// Inspect returns one container, or ErrNoContainer. It may block while the
	// container starts.
	Inspect(ctx context.Context, name string) (Container, error)
}

// CommandLine runs docker commands.
type CommandLine interface {
	// Machine describes the hardware of the Engine. It returns an error within seconds
	// if the Engine does not answer.
	Machine(ctx context.Context) (Machine, error)
	// Run runs a docker command until it ends, or kills it when ctx ends; a container
	// that it started runs on. The error is nil whatever the exit status is.
	Run(ctx context.Context, c Command) (exit int, err error)
}

// Command is one docker command.
type Command struct {
	Args           []string // without "docker" itself
	Stdout, Stderr io.Writer
	// Secrets are what the arguments only name: every user of the host can read those.
	Secrets secrets
	// HealthWords are the words that docker run's container has as its health check, which the
	// arguments can only give as a line for a shell; nil: the check is as the arguments say.
	HealthWords []string
}

// Machine is the hardware that a Docker Engine runs on.
type Machine struct {
	CPUs     int
	MemBytes int64
}

// Container is a container as the Engine describes it.
type Container struct {
	Name     string // without the leading slash
	Status   string // created, running, paused, restarting, removing, exited or dead
	ExitCode int
	// Sandbox is the host's folder that is mounted at /mnt/mesos/sandbox. It tells
	// which agent started the container. Empty: there is no such mount.
	Sandbox string
	// Networks are the container's addresses by the name of their network.
	Networks map[string][]netip.Addr
	// JSON is what docker inspect prints: an array of one element. List leaves it empty.
	JSON []byte
}

// live reports whether the container's process exists, or Docker is restarting it.
func (c Container) live() bool {
	return slices.Contains([]string{"running", "paused", "restarting"}, c.Status)
}

// ended reports whether the container ran and runs no more. A container that was created
// and could not be started is neither live nor ended.
func (c Container) ended() bool {
	return slices.Contains([]string{"exited", "dead", "removing"}, c.Status)
}

package agent

import (
	"context"
	"errors"
	"io"
	"net/netip"
)

// ErrNoContainer is returned for a container that the Engine does not know.
var ErrNoContainer = errors.New("no such container")

// Docker is how an agent sees its host's Docker: the Engine's API for looking,
// the docker command line for acting, as Mesos' Docker containerizer does it.
// localtest has one without containers. Implementations are safe for concurrent
// use.
type Docker interface {
	Engine
	CommandLine
}

// Engine is what an agent asks the Engine itself.
type Engine interface {
	// Watch calls changed with the name of every container to which something
	// happens, and once with "" when the stream stands: what happened before that
	// call is to be looked up. It returns when the stream breaks or ctx ends.
	Watch(ctx context.Context, changed func(name string)) error
	// List returns all containers named mesos-*, running or not.
	List(ctx context.Context) ([]Container, error)
	// Inspect returns one container, or ErrNoContainer. It may block while the
	// container starts.
	Inspect(ctx context.Context, name string) (Container, error)
}

// CommandLine runs docker commands on the agent's Engine.
type CommandLine interface {
	// Machine describes what the Engine runs on. It fails within seconds when the
	// Engine does not answer.
	Machine(ctx context.Context) (Machine, error)
	// Run runs a docker command until it ends or ctx ends (then it is killed; a
	// container it started lives on). The error is nil whatever the exit status.
	Run(ctx context.Context, c Command) (exit int, err error)
}

// Command is one call of the docker command line.
type Command struct {
	Args           []string // after "docker", from "-H" on
	Stdout, Stderr io.Writer
}

// Machine is what a Docker Engine runs on.
type Machine struct {
	CPUs     int
	MemBytes int64
}

// Container is a container as the Engine describes it.
type Container struct {
	Name     string // without the leading slash
	Status   string // created, running, paused, restarting, removing, exited or dead
	ExitCode int
	// Sandbox is the host's folder behind /mnt/mesos/sandbox: whose it is.
	Sandbox string
	// Networks are the addresses on each network by the network's name.
	Networks map[string][]netip.Addr
	// JSON is what `docker inspect` prints: an array of one. List leaves it empty.
	JSON []byte
}

// live says that the container's process exists, or will again without us.
func (c Container) live() bool {
	switch c.Status {
	case "running", "paused", "restarting":
		return true
	}
	return false
}

// ended says that the container ran and does not any more. One that was created
// and could not be started is neither live nor ended.
func (c Container) ended() bool {
	switch c.Status {
	case "exited", "dead", "removing":
		return true
	}
	return false
}

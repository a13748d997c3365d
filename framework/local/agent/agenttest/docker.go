package agenttest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"tombolo/framework/local/agent"
)

// ErrDown is the error of everything that asks an Engine that is down.
var ErrDown = errors.New("cannot connect to the Docker daemon")

// Docker is an Engine and its docker command in memory. A container runs until it is
// stopped, removed, or ended by Exit. The zero value is up and has every image.
type Docker struct {
	// Hardware is the Engine's machine. Zero: 1 CPU and 4 GiB.
	Hardware agent.Machine
	// Start returns how docker run ends before it starts the container; with code 0 it
	// starts the container. Nil: it starts every container.
	Start func(args []string) (code int, stderr string)
	// Stop returns the exit code of a container that docker stop ends. Nil: 143.
	Stop func(name string) int
	// Pull returns how docker pull ends. If Pull is set, an image exists only after it
	// was pulled. Nil: every image exists.
	Pull func(image string) (code int, stderr string)

	mu         sync.Mutex
	down       bool
	containers map[string]*container
	pulled     map[string]bool
	watchers   map[chan string]bool
	commands   [][]string
	addresses  int
}

type container struct {
	agent.Container
	done chan struct{} // closed when the container ends
}

var _ agent.Docker = (*Docker)(nil)

// Down stops the Engine: streams break and commands fail. The containers run on.
func (d *Docker) Down() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down = true
	for w := range d.watchers {
		close(w)
	}
	d.watchers = nil
}

// Up starts the Engine again.
func (d *Docker) Up() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down = false
}

// Exit ends a container as if its process had exited.
func (d *Docker) Exit(name string, code int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.end(name, code)
}

// Put adds a container that was not made by a docker run.
func (d *Docker) Put(c agent.Container) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.put(c)
}

// Names returns the sorted names of all containers, running or not.
func (d *Docker) Names() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.containers))
}

// Running returns the sorted names of the containers that run.
func (d *Docker) Running() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var names []string
	for name, c := range d.containers {
		if c.Status == "running" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Commands returns the arguments of all docker commands that begin with verb, oldest
// first, without -H.
func (d *Docker) Commands(verb string) [][]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all [][]string
	for _, c := range d.commands {
		if c[0] == verb {
			all = append(all, c)
		}
	}
	return all
}

// Machine is part of agent.Docker.
func (d *Docker) Machine(context.Context) (agent.Machine, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down {
		return agent.Machine{}, ErrDown
	}
	m := d.Hardware
	m.CPUs, m.MemBytes = max(m.CPUs, 1), max(m.MemBytes, 4<<30)
	return m, nil
}

// Watch is part of agent.Docker.
func (d *Docker) Watch(ctx context.Context, changed func(string)) error {
	events, stop := d.follow()
	defer stop()
	if events == nil {
		return ErrDown
	}
	changed("")
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case name, ok := <-events:
			if !ok {
				return ErrDown
			}
			changed(name)
		}
	}
}

// follow returns a channel that gets the names of the containers that change. Down
// closes it. The channel is nil if the Engine is down already.
func (d *Docker) follow() (events chan string, stop func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down {
		return nil, func() {}
	}
	events = make(chan string, 1024) // more changes than a test makes at once
	if d.watchers == nil {
		d.watchers = map[chan string]bool{}
	}
	d.watchers[events] = true
	return events, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.watchers, events)
	}
}

// List is part of agent.Docker.
func (d *Docker) List(context.Context) ([]agent.Container, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down {
		return nil, ErrDown
	}
	var all []agent.Container
	for _, c := range d.containers {
		all = append(all, c.Container)
	}
	return all, nil
}

// Inspect is part of agent.Docker.
func (d *Docker) Inspect(_ context.Context, name string) (agent.Container, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.containers[name]
	switch {
	case d.down:
		return agent.Container{}, ErrDown
	case c == nil:
		return agent.Container{}, agent.ErrNoContainer
	}
	got := c.Container
	got.JSON = fmt.Appendf(nil, "[\n    {\n        \"Name\": %q\n    }\n]\n", "/"+name)
	return got, nil
}

// Run is part of agent.Docker.
func (d *Docker) Run(ctx context.Context, c agent.Command) (int, error) {
	args := c.Args
	if len(args) > 1 && args[0] == "-H" {
		args = args[2:]
	}
	d.mu.Lock()
	d.commands = append(d.commands, args)
	if d.down {
		d.mu.Unlock()
		return fail(c.Stderr, 1, ErrDown.Error())
	}
	name := args[len(args)-1]
	switch args[0] {
	case "run":
		return d.run(ctx, c, args)
	case "logs":
		done := d.doneOf(name)
		d.mu.Unlock()
		return d.await(ctx, c, name, done)
	}
	defer d.mu.Unlock()
	switch args[0] {
	case "pull":
		return d.pull(c, name)
	case "inspect":
		if d.Pull != nil && !d.pulled[name] {
			return fail(c.Stderr, 1, "Error: No such object: "+name)
		}
		return 0, nil
	}
	if d.containers[name] == nil {
		return fail(c.Stderr, 1, "Error: No such container: "+name)
	}
	switch args[0] {
	case "stop":
		code := 143
		if d.Stop != nil {
			code = d.Stop(name)
		}
		d.end(name, code)
	case "rm":
		d.end(name, 137)
		delete(d.containers, name)
		d.tell(name)
	}
	return 0, nil
}

func (d *Docker) pull(c agent.Command, image string) (int, error) {
	if d.Pull != nil {
		if code, why := d.Pull(image); code != 0 {
			return fail(c.Stderr, code, why)
		}
	}
	if d.pulled == nil {
		d.pulled = map[string]bool{}
	}
	d.pulled[image] = true
	return 0, nil
}

// run is docker run. The caller has locked d.mu, and run unlocks it.
func (d *Docker) run(ctx context.Context, c agent.Command, args []string) (int, error) {
	name := flag(args, "--name")
	code, why := 0, ""
	switch {
	case d.containers[name] != nil:
		code, why = 125, "docker: the container name is already in use"
	case d.Start != nil:
		code, why = d.Start(args)
	}
	if code != 0 {
		d.mu.Unlock()
		return fail(c.Stderr, code, why)
	}
	started := agent.Container{Name: name, Status: "running"}
	for i, a := range args[:len(args)-1] {
		if dir, ok := strings.CutSuffix(args[i+1], ":/mnt/mesos/sandbox"); ok && a == "-v" {
			started.Sandbox = dir
		}
	}
	if network := flag(args, "--net"); network != "host" && network != "none" {
		d.addresses++
		started.Networks = map[string][]netip.Addr{
			network: {netip.AddrFrom4([4]byte{100, 64, byte(d.addresses >> 8), byte(d.addresses)})},
		}
	}
	d.put(started)
	done := d.doneOf(name)
	d.mu.Unlock()
	return d.await(ctx, c, name, done)
}

// await waits until a container ends, as docker run and docker logs -f do, and returns
// its exit code. It fails when the Engine goes down.
func (d *Docker) await(ctx context.Context, c agent.Command, name string, done chan struct{}) (int, error) {
	events, stop := d.follow()
	defer stop()
	if events == nil {
		return fail(c.Stderr, 125, ErrDown.Error())
	}
	for {
		select {
		case <-ctx.Done():
			return -1, ctx.Err()
		case <-done:
			d.mu.Lock()
			defer d.mu.Unlock()
			if ended := d.containers[name]; ended != nil {
				return ended.ExitCode, nil
			}
			return 137, nil
		case _, ok := <-events:
			if !ok {
				return fail(c.Stderr, 125, "error waiting for container: unexpected EOF")
			}
		}
	}
}

// doneOf returns the done channel of a container, or a closed one if it does not exist.
func (d *Docker) doneOf(name string) chan struct{} {
	if c := d.containers[name]; c != nil {
		return c.done
	}
	done := make(chan struct{})
	close(done)
	return done
}

func (d *Docker) put(c agent.Container) {
	if d.containers == nil {
		d.containers = map[string]*container{}
	}
	kept := &container{Container: c, done: make(chan struct{})}
	if c.Status != "running" {
		close(kept.done)
	}
	d.containers[c.Name] = kept
	d.tell(c.Name)
}

func (d *Docker) end(name string, code int) {
	c := d.containers[name]
	if c == nil || c.Status != "running" {
		return
	}
	c.Status, c.ExitCode = "exited", code
	close(c.done)
	d.tell(name)
}

func (d *Docker) tell(name string) {
	for w := range d.watchers {
		w <- name
	}
}

func fail(stderr io.Writer, code int, why string) (int, error) {
	if stderr != nil {
		fmt.Fprintln(stderr, why)
	}
	return code, nil
}

func flag(args []string, name string) string {
	if i := slices.Index(args, name); i >= 0 && i+1 < len(args) {
		return args[i+1]
	}
	return ""
}

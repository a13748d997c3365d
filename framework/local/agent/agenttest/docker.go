package agenttest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"tombolo/framework/local/agent"
)

// errDown is the error of everything that asks an Engine that is down.
var errDown = errors.New("cannot connect to the Docker daemon")

// Docker is an Engine and its docker command in memory. A container runs until it is
// stopped, removed, or ended by Exit. The zero value is up and has every image.
type Docker struct {
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
	downed     chan struct{} // closed by Down; nil: nobody waits for that
	commands   [][]string
	addresses  int
}

type container struct {
	agent.Container
	ended chan struct{}
}

var _ agent.Docker = (*Docker)(nil)

// Down stops the Engine: streams break and commands fail. The containers run on.
func (d *Docker) Down() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down = true
	if d.downed != nil {
		close(d.downed)
		d.downed = nil
	}
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
		return agent.Machine{}, errDown
	}
	return agent.Machine{CPUs: 1, MemBytes: 4 << 30}, nil
}

// Watch is part of agent.Docker.
func (d *Docker) Watch(ctx context.Context, changed func(string)) error {
	d.mu.Lock()
	if d.down {
		d.mu.Unlock()
		return errDown
	}
	events := make(chan string, 1024) // more changes than a test makes at once
	if d.watchers == nil {
		d.watchers = map[chan string]bool{}
	}
	d.watchers[events] = true
	downed := d.awaitDown()
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.watchers, events)
	}()
	changed("")
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-downed:
			return errDown
		case name := <-events:
			changed(name)
		}
	}
}

// awaitDown returns a channel that the next Down closes.
func (d *Docker) awaitDown() <-chan struct{} {
	if d.downed == nil {
		d.downed = make(chan struct{})
	}
	return d.downed
}

// List is part of agent.Docker.
func (d *Docker) List(context.Context) ([]agent.Container, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down {
		return nil, errDown
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
		return agent.Container{}, errDown
	case c == nil:
		return agent.Container{}, agent.ErrNoContainer
	}
	got := c.Container
	got.JSON = fmt.Appendf(nil, "[\n    {\n        \"Name\": %q\n    }\n]\n", "/"+name)
	return got, nil
}

// result is how a docker command ends: at once with code and stderr, or together with a
// container.
type result struct {
	code   int
	stderr string
	with   *container      // nil: at once
	downed <-chan struct{} // the Engine went down before the container ended
}

// Run is part of agent.Docker.
func (d *Docker) Run(ctx context.Context, c agent.Command) (int, error) {
	args := c.Args
	if len(args) > 1 && args[0] == "-H" {
		args = args[2:]
	}
	r := d.do(args)
	if r.with != nil {
		select {
		case <-ctx.Done():
			return -1, ctx.Err()
		case <-r.with.ended:
			d.mu.Lock()
			r.code = r.with.ExitCode
			d.mu.Unlock()
		case <-r.downed:
			r.code, r.stderr = 125, "error waiting for container: unexpected EOF"
		}
	}
	if r.stderr != "" && c.Stderr != nil {
		fmt.Fprintln(c.Stderr, r.stderr)
	}
	return r.code, nil
}

func (d *Docker) do(args []string) result {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.commands = append(d.commands, args)
	if d.down {
		return result{code: 1, stderr: errDown.Error()}
	}
	verb, name := args[0], args[len(args)-1]
	c := d.containers[name]
	switch {
	case verb == "run":
		return d.run(args)
	case verb == "pull":
		return d.pull(name)
	case verb == "inspect" && d.Pull != nil && !d.pulled[name]:
		return result{code: 1, stderr: "Error: No such object: " + name}
	case verb == "inspect":
		return result{}
	case c == nil:
		return result{code: 1, stderr: "Error: No such container: " + name}
	case verb == "logs":
		return result{with: c, downed: d.awaitDown()}
	case verb == "stop" && d.Stop != nil:
		d.end(name, d.Stop(name))
	case verb == "stop":
		d.end(name, 143)
	case verb == "rm":
		d.end(name, 137)
		delete(d.containers, name)
		d.tell(name)
	}
	return result{}
}

func (d *Docker) pull(image string) (r result) {
	if d.Pull != nil {
		r.code, r.stderr = d.Pull(image)
	}
	if r.code == 0 {
		if d.pulled == nil {
			d.pulled = map[string]bool{}
		}
		d.pulled[image] = true
	}
	return r
}

func (d *Docker) run(args []string) (r result) {
	name := flag(args, "--name")
	switch {
	case d.containers[name] != nil:
		r = result{code: 125, stderr: "docker: the container name is already in use"}
	case d.Start != nil:
		r.code, r.stderr = d.Start(args)
	}
	if r.code != 0 {
		return r
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
	return result{with: d.containers[name], downed: d.awaitDown()}
}

func (d *Docker) put(c agent.Container) {
	if d.containers == nil {
		d.containers = map[string]*container{}
	}
	kept := &container{Container: c, ended: make(chan struct{})}
	if c.Status != "running" {
		close(kept.ended)
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
	close(c.ended)
	d.tell(name)
}

func (d *Docker) tell(name string) {
	for w := range d.watchers {
		w <- name
	}
}

func flag(args []string, name string) string {
	if i := slices.Index(args, name); i >= 0 && i+1 < len(args) {
		return args[i+1]
	}
	return ""
}

// Package dockertest is a fake Docker Engine. Over a unix socket it serves the part of
// the Engine's API that linker/docker uses; tests set the containers that it lists.
package dockertest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// Container is a container of the fake.
type Container struct {
	ID, Name, Hostname string
	Labels             map[string]string
	EndpointID         string
	Addr4, MAC         string
	State              string // "created", "running", "paused" or "exited"
	Health             string // "": no health check
	Started            time.Time
	Checks             []Check // the last runs of its health check, if it has one
	Output             string  // its logs, in the Engine's multiplexed format unless TTY is set
	TTY                bool
	Ports              map[string]string // "80/tcp" -> host port; "": Docker chooses one
	ImageLabels        map[string]string // of its image; Labels has these, too
}

// Engine is the fake. Its methods are safe for concurrent use.
type Engine struct {
	socket string

	mu         sync.Mutex
	server     *http.Server
	containers map[string]*Container
	network    map[string]any // as created; nil while there is none
	made       int            // networks created so far
	failing    int            // requests that fail yet
	streams    map[chan []byte]bool
	frozen     chan struct{} // closed by Thaw; nil: the Engine answers
}

// New returns an Engine that listens on the unix socket at path once Start is called.
func New(path string) *Engine {
	return &Engine{socket: path, containers: map[string]*Container{}, streams: map[chan []byte]bool{}}
}

// Host returns the Engine's address for clients.
func (e *Engine) Host() string { return "unix://" + e.socket }

// Start listens, also after Stop. The containers and the network stay.
func (e *Engine) Start() error {
	os.Remove(e.socket) // a socket of an earlier Start
	l, err := net.Listen("unix", e.socket)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.server = &http.Server{Handler: e.routes()}
	go e.server.Serve(l)
	return nil
}

// Stop closes the socket and all connections.
func (e *Engine) Stop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.server.Close()
	for c := range e.streams {
		delete(e.streams, c)
		close(c)
	}
}

// Put adds or replaces a container without an event, as if the event had been lost.
func (e *Engine) Put(c Container) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.containers[c.ID] = &c
}

// Remove removes a container without an event.
func (e *Engine) Remove(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.containers, id)
}

// Run adds a container and sends the events of `docker run`: create, network connect,
// start.
func (e *Engine) Run(c Container) {
	connected := c.EndpointID
	c.State, c.EndpointID = "created", ""
	e.Put(c)
	e.Event("container", "create", c.ID)
	c.EndpointID = connected
	e.Put(c)
	e.Event("network", "connect", c.ID)
	c.State = "running"
	e.Put(c)
	e.Event("container", "start", c.ID)
}

// Fail makes the next n inspections of a container or of the network fail.
func (e *Engine) Fail(n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.failing = n
}

// Freeze keeps all connections open without an answer to any request, until Thaw or Stop, as an Engine does that
// is stopped by SIGSTOP.
func (e *Engine) Freeze() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.frozen = make(chan struct{})
}

// Thaw answers all requests again.
func (e *Engine) Thaw() {
	e.mu.Lock()
	defer e.mu.Unlock()
	close(e.frozen)
	e.frozen = nil
}

// awaitThaw returns false if the client has given up.
func (e *Engine) awaitThaw(r *http.Request) bool {
	e.mu.Lock()
	frozen := e.frozen
	e.mu.Unlock()
	if frozen == nil {
		return true
	}
	select {
	case <-frozen:
		return true
	case <-r.Context().Done():
		return false
	}
}

// fails answers with an error, and returns true, if Fail asked for that. e.mu is held.
func (e *Engine) fails(w http.ResponseWriter) bool {
	if e.failing == 0 {
		return false
	}
	e.failing--
	http.Error(w, `{"message":"out of order"}`, http.StatusInternalServerError)
	return true
}

// Networks returns the number of networks created so far.
func (e *Engine) Networks() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.made
}

// Event sends an event of a container to all listeners; kind is "container" or "network".
func (e *Engine) Event(kind, action, id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	attributes, actor := map[string]string{}, id
	if c := e.containers[id]; c != nil && kind == "container" {
		attributes = map[string]string{"name": c.Name, "image": "image-of-" + c.ID}
		maps.Copy(attributes, c.Labels)
	}
	if kind == "network" {
		actor = networkID
		attributes = map[string]string{"name": "tombolo", "container": id, "type": "tombolo"}
	}
	raw := encode(map[string]any{
		"Type": kind, "Action": action, "Actor": map[string]any{"ID": actor, "Attributes": attributes},
		"timeNano": time.Now().UnixNano(),
	})
	for c := range e.streams {
		c <- raw
	}
}

const networkID = "net1"

// Volume is the only volume of the Engine.
const Volume = "shop_data"

// Check is a run of a container's health check.
type Check struct {
	ExitCode int
	Output   string
}

func (e *Engine) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /events", e.events)
	mux.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Api-Version", "1.41") })
	for path, handler := range map[string]http.HandlerFunc{
		"GET /networks":             e.listNetworks,
		"POST /networks/create":     e.createNetwork,
		"GET /networks/{id}":        e.inspectNetwork,
		"GET /containers/json":      e.list,
		"GET /images/{id}/json":     e.image,
		"GET /containers/{id}/json": e.inspect,
		"GET /containers/{id}/logs": e.logs,
		"GET /volumes/{name}":       e.volume,
		"GET /version":              e.version,
	} {
		mux.HandleFunc(path, e.locked(handler))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rest, ok := strings.CutPrefix(r.URL.Path, "/v1.41"); ok {
			r.URL.Path = rest
		}
		if !e.awaitThaw(r) {
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// locked returns handle, called with e.mu held.
func (e *Engine) locked(handle http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		defer e.mu.Unlock()
		handle(w, r)
	}
}

func (e *Engine) events(w http.ResponseWriter, r *http.Request) {
	c := make(chan []byte, 100) // more than any test leaves unread
	e.mu.Lock()
	e.streams[c] = true
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.streams, c)
	}()
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	for {
		select {
		case raw, ok := <-c:
			if !ok {
				return
			}
			w.Write(raw)
			w.(http.Flusher).Flush()
		case <-r.Context().Done():
			return
		}
	}
}

func (e *Engine) listNetworks(w http.ResponseWriter, _ *http.Request) {
	list := []any{}
	if e.network != nil {
		list = append(list, e.network)
	}
	w.Write(encode(list))
}

func (e *Engine) createNetwork(w http.ResponseWriter, r *http.Request) {
	_ = json.NewDecoder(r.Body).Decode(&e.network) // our own client sent it
	e.network["Id"] = networkID
	e.made++
	w.WriteHeader(http.StatusCreated)
	w.Write(encode(map[string]string{"Id": networkID}))
}

func (e *Engine) inspectNetwork(w http.ResponseWriter, _ *http.Request) {
	if e.fails(w) {
		return
	}
	inside := map[string]any{}
	for _, c := range e.containers {
		if c.EndpointID != "" {
			inside[c.ID] = map[string]string{"Name": c.Name, "EndpointID": c.EndpointID, "MacAddress": c.MAC, "IPv4Address": c.Addr4 + "/32", "IPv6Address": ""}
		}
	}
	w.Write(encode(map[string]any{"Id": networkID, "Name": "tombolo", "Containers": inside}))
}

func (e *Engine) list(w http.ResponseWriter, _ *http.Request) {
	list := []any{}
	for _, c := range e.containers {
		status := "Up 2 minutes"
		if c.Health != "" {
			status += " (" + strings.Replace(c.Health, "starting", "health: starting", 1) + ")"
		}
		list = append(list, map[string]any{"Id": c.ID, "Names": []string{"/" + c.Name}, "Labels": c.Labels, "ImageID": "image-of-" + c.ID, "State": c.State, "Status": status})
	}
	w.Write(encode(list))
}

func (e *Engine) inspect(w http.ResponseWriter, r *http.Request) {
	if e.fails(w) {
		return
	}
	c := e.containers[r.PathValue("id")]
	if c == nil {
		http.Error(w, `{"message":"No such container"}`, http.StatusNotFound)
		return
	}
	state := map[string]any{"Running": c.State == "running" || c.State == "paused", "Paused": c.State == "paused", "StartedAt": c.Started.Format(time.RFC3339Nano)}
	state["Status"] = c.State
	if c.Health != "" {
		state["Health"] = map[string]any{"Status": c.Health, "Log": c.Checks}
	}
	bindings := map[string]any{}
	for port, host := range c.Ports {
		bindings[port] = []any{map[string]string{"HostIp": "", "HostPort": host}}
	}
	w.Write(encode(map[string]any{
		"Id": c.ID, "Image": "image-of-" + c.ID, "Name": "/" + c.Name, "State": state, "HostConfig": map[string]any{"PortBindings": bindings},
		"Config":          map[string]any{"Hostname": c.Hostname, "Labels": c.Labels, "Tty": c.TTY},
		"NetworkSettings": map[string]any{"Networks": map[string]any{"tombolo": map[string]string{"EndpointID": c.EndpointID}}},
	}))
}

func (e *Engine) image(w http.ResponseWriter, r *http.Request) {
	c := e.containers[strings.TrimPrefix(r.PathValue("id"), "image-of-")]
	if c == nil {
		http.Error(w, `{"message":"No such image"}`, http.StatusNotFound)
		return
	}
	w.Write(encode(map[string]any{"Id": r.PathValue("id"), "Config": map[string]any{"Labels": c.ImageLabels}}))
}

func (e *Engine) volume(w http.ResponseWriter, r *http.Request) {
	if name := r.PathValue("name"); name != Volume {
		http.Error(w, `{"message":"no such volume"}`, http.StatusNotFound)
		return
	}
	w.Write(encode(map[string]string{"Name": Volume}))
}

func (e *Engine) version(w http.ResponseWriter, _ *http.Request) {
	w.Write(encode(map[string]string{"Version": "20.10.24", "ApiVersion": "1.41"}))
}

func (e *Engine) logs(w http.ResponseWriter, r *http.Request) {
	fmt.Fprint(w, e.containers[r.PathValue("id")].Output)
}

func encode(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps and strings can always be encoded
	}
	return append(raw, '\n')
}

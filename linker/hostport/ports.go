package hostport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"tombolo/internal/wake"
	"tombolo/linker/problem"
	"tombolo/linker/record"
)

// Port is a port of the host.
type Port struct {
	IP     netip.Addr // the zero value means every address of the host
	Number uint16
	Proto  string
}

func portOf(p record.PublishedPort) Port {
	return Port{IP: p.HostIP, Number: p.HostPort, Proto: p.Proto}
}

// String returns the port as messages name it.
func (p Port) String() string { return fmt.Sprintf("%d/%s", p.Number, p.Proto) }

func (p Port) overlaps(o Port) bool {
	return p.Number == o.Number && p.Proto == o.Proto && (!p.IP.IsValid() || !o.IP.IsValid() || p.IP == o.IP)
}

// Ports holds ports with sockets. Its methods may be called from any goroutine.
type Ports struct {
	log *slog.Logger

	mu         sync.Mutex
	containers map[Port]bool    // ports of this host's containers
	ingress    map[Port]string  // ports of every host -> who has them
	held       map[Port]*socket // only these are bound
	missing    map[Port]string  // ports that should be held -> who holds them instead
	leads      map[Port][]netip.AddrPort
	closed     bool
}

// New returns Ports that hold nothing.
func New(log *slog.Logger) *Ports {
	return &Ports{
		log: log, containers: map[Port]bool{}, ingress: map[Port]string{},
		held: map[Port]*socket{}, missing: map[Port]string{},
	}
}

// Take holds a port for a container. It returns "" or, if the port is taken, its holder. A
// port that a container has already may be taken again, because replicas share it.
func (h *Ports) Take(p record.PublishedPort) (holder string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	port := portOf(p)
	for other, owner := range h.ingress {
		if port.overlaps(other) && h.missing[other] == "" {
			return owner
		}
	}
	if err := h.bind(port); err != nil {
		return err.Error()
	}
	h.containers[port] = true
	return ""
}

// Keep makes ports the ports of this host's containers. It gives up all others that Take
// took. A port that cannot be held is named by Run's report.
func (h *Ports) Keep(ports []record.PublishedPort) {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.containers)
	for _, p := range ports {
		h.containers[portOf(p)] = true
	}
	h.sync()
}

// Ingress makes ports, with the owner of each, the ports that every host serves. It returns
// those that another process of this host holds, with that process. They must not lead on to
// containers.
func (h *Ports) Ingress(ports map[Port]string) (taken map[Port]string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ingress = maps.Clone(ports)
	h.sync()
	taken = map[Port]string{}
	for port := range ports {
		if holder := h.missing[port]; holder != "" {
			taken[port] = holder
		}
	}
	return taken
}

// Lead says where the connections to ::1 go from now on.
func (h *Ports) Lead(to map[Port][]netip.AddrPort) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.leads = to
}

// retakeAfter is the pause between attempts to hold a port that another process has taken
// while the linker was down.
const retakeAfter = 2 * time.Second

// Run tries to hold the missing ports again and again until ctx ends, and reports those of
// containers that it cannot hold (nil: none). It then closes all sockets; established connections to ::1 end.
func (h *Ports) Run(ctx context.Context, report func(error)) error {
	for {
		report(h.retake())
		if !wake.Sleep(ctx, retakeAfter) {
			h.close()
			return nil
		}
	}
}

func (h *Ports) retake() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sync()
	var errs []error
	for _, port := range slices.SortedFunc(maps.Keys(h.missing), func(a, b Port) int { return strings.Compare(a.String(), b.String()) }) {
		if h.containers[port] {
			errs = append(errs, problem.About(port.String(), fmt.Errorf("port %s of this host is taken by %s", port, h.missing[port])))
		}
	}
	return errors.Join(errs...)
}

// sync binds what should be held and closes the rest. h.mu is held.
func (h *Ports) sync() {
	if h.closed {
		return
	}
	for port, s := range h.held {
		if !h.wanted(port) {
			s.close()
			delete(h.held, port)
		}
	}
	clear(h.missing)
	for _, ports := range []map[Port]bool{h.containers, ingressOf(h.ingress)} {
		for port := range ports {
			if err := h.bind(port); err != nil {
				h.missing[port] = err.Error()
			}
		}
	}
}

func ingressOf(ports map[Port]string) map[Port]bool {
	out := map[Port]bool{}
	for port := range ports {
		out[port] = true
	}
	return out
}

func (h *Ports) wanted(p Port) bool { return h.containers[p] || h.ingress[p] != "" }

// bind holds a port. The error's text is the holder of a port that is taken. h.mu is held.
func (h *Ports) bind(p Port) error {
	if h.held[p] != nil || h.closed {
		return nil
	}
	for other := range h.held {
		if p.overlaps(other) {
			return errors.New(h.owner(other))
		}
	}
	s, err := h.listen(p)
	if err != nil {
		return err
	}
	if s != nil {
		h.held[p] = s
	}
	return nil
}

func (h *Ports) owner(p Port) string {
	if owner := h.ingress[p]; owner != "" {
		return owner
	}
	return "another container"
}

// targets returns where connections to ::1 may go, in the order of attempts: a random one
// first, IPv4 before IPv6, because servers that listen on 0.0.0.0 are common.
func (h *Ports) targets(p Port) []netip.AddrPort {
	h.mu.Lock()
	defer h.mu.Unlock()
	return shuffled(h.leads[p])
}

func (h *Ports) close() {
	h.mu.Lock()
	all := slices.Collect(maps.Values(h.held))
	clear(h.held)
	h.closed = true
	h.mu.Unlock()
	for _, s := range all {
		s.close()
	}
	for _, s := range all {
		s.relays.Wait()
	}
}

package overlay

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Docker moves a container's side of the veth pair into the sandbox, the container's network
// namespace, and gives it its IPv4 address. The rest is done here: IPv6, because an Engine
// before 25 starts three processes to add an address, the MAC addresses of the gateways, and what
// leads queries to Docker's own resolver to the linker.
//
//	attached --Docker sets the container's side up--> carrier --equip--> equipped
//	                                                     |  ^
//	                                                     v  | 100 ms later, then twice as long
//	                                                    failed   each time up to half a minute
//
// The host's side has a carrier when Docker has finished with the interface, and has made its
// rules for its resolver. The container's process starts tens of milliseconds later. So
// sandboxes are visited at the same time, and IPv6 comes first: the resolver takes longer, because
// the kernel waits for all its processors before it commits rules. Engine 29 makes a call in
// between, which calls Equip: there the process starts when its container is equipped.

// sandboxes has what was done in the sandboxes of endpoints, by the endpoints' IDs.
type sandboxes map[string]visit

// visit is the last visit to an endpoint's sandbox.
type visit struct {
	sandbox  string
	err      error
	failures int       // consecutive visits with an error
	retry    time.Time // after an error, when the next visit is due
	nftables uint32    // generation of nftables in the sandbox after the visit
}

// The first pause after a failed visit. It doubles up to recheck.
const firstRetry = 100 * time.Millisecond

// after returns the visit with what follows from that before it in the same sandbox.
func (v visit) after(last visit, now time.Time) visit {
	if v.err == nil {
		return v
	}
	v.failures = 1
	if last.sandbox == v.sandbox {
		v.failures = last.failures + 1
	}
	v.retry = now.Add(min(firstRetry<<min(v.failures-1, 16), recheck))
	return v
}

// due returns the endpoints whose sandboxes have not been visited, or with an error some time
// ago. With again it returns those that have been visited as well.
func (s sandboxes) due(endpoints []Endpoint, again bool, now time.Time) []Endpoint {
	return slices.DeleteFunc(endpoints, func(e Endpoint) bool {
		last := s[e.ID]
		visited := last.sandbox == e.Sandbox && (last.err == nil || now.Before(last.retry))
		return e.Sandbox == "" || !again && visited
	})
}

// next returns the time until the next visit after an error, at most recheck.
func (s sandboxes) next(now time.Time) time.Duration {
	wait := recheck
	for _, v := range s {
		if v.err != nil {
			wait = min(wait, max(v.retry.Sub(now), 0))
		}
	}
	return wait
}

// keepEquipped equips containers as their interfaces appear, and looks at all of them every half
// minute, until ctx is done.
func (o *Overlay) keepEquipped(ctx context.Context) error {
	tick := time.NewTicker(recheck)
	defer tick.Stop()
	retry := time.NewTimer(recheck)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-o.toEquip:
			o.equip(false)
		case <-retry.C:
			o.equip(false)
		case <-tick.C:
			o.equip(true)
		}
		o.mu.Lock()
		retry.Reset(o.sandboxes.next(time.Now()))
		o.mu.Unlock()
	}
}

// maxVisits is the number of sandboxes that are visited at the same time. Each visit takes a
// thread, and most of its time it waits for the kernel.
const maxVisits = 16

// equip equips every container that has not been equipped yet and whose interface has a
// carrier. With again it also repeats what failed, and repairs what another program changed.
func (o *Overlay) equip(again bool) {
	o.releaseSandboxes()
	endpoints, visited := o.unequipped(again)
	var visits errgroup.Group
	visits.SetLimit(maxVisits)
	for _, e := range endpoints {
		if hasCarrier(o.ns, e) {
			visits.Go(func() error { o.visit(e, visited[e.ID]); return nil })
		}
	}
	_ = visits.Wait()
	o.incomplete(o.failedVisits())
}

// visit equips e's container, and notes what happened.
func (o *Overlay) visit(e Endpoint, last visit) {
	v := visitSandbox(e, last)
	if v.err != nil && !hasCarrier(o.ns, e) {
		return // the container has ended
	}
	o.visited(e, v, last)
}

// visited notes a visit to e's sandbox, unless e has left meanwhile.
func (o *Overlay) visited(e Endpoint, v, last visit) {
	v = v.after(last, time.Now())
	if v.failures == 1 {
		o.log.Warn("a container's network is incomplete", "endpoint", e.ID, "addr", e.Addr4, "err", v.err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if known, ok := o.want.endpoint(e.ID); ok && known.Sandbox == e.Sandbox {
		o.sandboxes[e.ID] = v
		o.left = slices.DeleteFunc(o.left, func(path string) bool { return path == e.Sandbox }) // it has come back
	}
}

func (o *Overlay) unequipped(again bool) ([]Endpoint, sandboxes) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.want.config == nil {
		return nil, nil
	}
	endpoints := o.sandboxes.due(o.want.merged().Endpoints, again, time.Now())
	visited := sandboxes{}
	for _, e := range endpoints {
		visited[e.ID] = o.sandboxes[e.ID]
	}
	return endpoints, visited
}

// failedVisits returns the errors of the last visits, by the endpoints' IDs.
func (o *Overlay) failedVisits() map[string]error {
	o.mu.Lock()
	defer o.mu.Unlock()
	failed := map[string]error{}
	for id, v := range o.sandboxes {
		if v.err != nil {
			failed[id] = v.err
		}
	}
	return failed
}

// hasCarrier reports whether the container's side is up.
func hasCarrier(ns netns.NsHandle, e Endpoint) bool {
	request, err := unix.NewIfreq(HostSide(e.ID))
	if err == nil {
		err = inside(ns, func() error { return ioctl(unix.SIOCGIFFLAGS, request) })
	}
	return err == nil && request.Uint16()&unix.IFF_RUNNING != 0
}

// visitSandbox enters e's container and equips it, unless last shows that this was done and
// that no program has changed nftables there since.
func visitSandbox(e Endpoint, last visit) visit {
	v := visit{sandbox: e.Sandbox}
	v.err = inSandbox(e.Sandbox, func() error {
		if last.sandbox == e.Sandbox && last.err == nil {
			if gen, err := generation(); err == nil && gen == last.nftables {
				v.nftables = gen
				return nil
			}
		}
		link := linkWithAddr(e.Addr4)
		if link == nil {
			return fmt.Errorf("%w: no interface of the container has %s", errNotThere, e.Addr4)
		}
		var errs []error
		if e.Addr6.IsValid() {
			errs = append(errs, setIPv6(link, e))
		}
		errs = append(errs, setGateways(link, e), guardResolver(link, e))
		gen, err := generation()
		v.nftables = gen
		return errors.Join(append(errs, err)...)
	})
	return v
}

// errNotThere means that Docker has not moved the interface into the sandbox.
var errNotThere = errors.New("not set up by Docker")

func inSandbox(path string, f func() error) error {
	sandbox, err := netns.GetFromPath(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", errNotThere, err)
	}
	if err != nil {
		return fmt.Errorf("sandbox %s: %w", path, err)
	}
	defer sandbox.Close()
	return inside(sandbox, f)
}

// leave notes that e has left its sandbox. The container may run on, on other networks.
func (o *Overlay) leave(e Endpoint) {
	delete(o.sandboxes, e.ID)
	if e.Sandbox != "" {
		o.left = append(o.left, e.Sandbox)
		o.toEquip.Notify()
	}
}

// releaseSandboxes gives Docker's resolver back to containers that have left the network and
// run on.
func (o *Overlay) releaseSandboxes() {
	for _, path := range o.unused() {
		o.release(path)
	}
}

func (o *Overlay) release(path string) {
	if err := inSandbox(path, releaseResolver); err != nil && !errors.Is(err, fs.ErrNotExist) {
		o.log.Debug("a container that has left does not get Docker's resolver back", "sandbox", path, "err", err)
	}
}

// sandboxPaths returns the sandboxes of all endpoints, and those that have just been left.
func (o *Overlay) sandboxPaths() map[string]bool {
	paths := map[string]bool{}
	for _, path := range o.left {
		paths[path] = true
	}
	if o.want.config != nil {
		for _, e := range o.want.merged().Endpoints {
			paths[e.Sandbox] = true
		}
	}
	delete(paths, "") // endpoints that Run leaves alone
	return paths
}

// unused takes the sandboxes out of o.left that no endpoint is in. The others stay: either the
// container has come back, or the Config still has the endpoint that left.
func (o *Overlay) unused() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	used := map[string]bool{}
	if o.want.config != nil {
		for _, e := range o.want.merged().Endpoints {
			used[e.Sandbox] = true
		}
	}
	var unused []string
	o.left = slices.DeleteFunc(o.left, func(path string) bool {
		if !used[path] {
			unused = append(unused, path)
		}
		return !used[path]
	})
	return unused
}

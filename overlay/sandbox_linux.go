package overlay

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Docker moves a container's side of the veth pair into the sandbox, the container's network
// namespace, and gives it its IPv4 address. The rest is done here: IPv6, because an Engine
// before 25 starts three processes to add an address, and what leads queries to Docker's own
// resolver to the linker.
//
//	attached --Docker sets the container's side up--> carrier --equip--> equipped
//	                                                     |  ^
//	                                                     v  | at most half a minute
//	                                                    failed
//
// The host's side has a carrier when Docker has finished with the interface, and has made its
// rules for its resolver. The container's process starts tens of milliseconds later.

// sandboxes has what was done in the sandboxes of endpoints, by the endpoints' IDs.
type sandboxes map[string]visit

// visit is the last visit to an endpoint's sandbox.
type visit struct {
	sandbox  string
	err      error  // the next visit is at most half a minute later
	nftables uint32 // generation of nftables in the sandbox after the visit
}

// due returns the endpoints whose sandboxes have not been visited. With again it returns those
// that have been visited as well.
func (s sandboxes) due(endpoints []Endpoint, again bool) []Endpoint {
	return slices.DeleteFunc(endpoints, func(e Endpoint) bool {
		return e.Sandbox == "" || !again && s[e.ID].sandbox == e.Sandbox
	})
}

// equip equips every container that has not been equipped yet and whose interface has a
// carrier. With again it also repeats what failed, and repairs what another program changed.
func (o *Overlay) equip(again bool) {
	o.releaseSandboxes()
	endpoints, visited := o.unequipped(again)
	for _, e := range endpoints {
		if !hasCarrier(o.ns, e) {
			continue
		}
		v, err := visitSandbox(e, visited[e.ID])
		if err != nil && !hasCarrier(o.ns, e) {
			continue // the container has ended
		}
		if err != nil {
			o.log.Warn("a container's network is incomplete", "endpoint", e.ID, "addr", e.Addr4, "err", err)
		}
		o.mu.Lock()
		if known, ok := o.want.endpoint(e.ID); ok && known.Sandbox == e.Sandbox {
			o.sandboxes[e.ID] = v
			o.left = slices.DeleteFunc(o.left, func(path string) bool { return path == e.Sandbox }) // it has come back
		}
		o.mu.Unlock()
	}
	o.incomplete(o.failedVisits())
}

func (o *Overlay) unequipped(again bool) ([]Endpoint, sandboxes) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.want.config == nil {
		return nil, nil
	}
	endpoints := o.sandboxes.due(o.want.merged().Endpoints, again)
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
func visitSandbox(e Endpoint, last visit) (visit, error) {
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
			return fmt.Errorf("no interface of the container has %s", e.Addr4)
		}
		errs := []error{guardResolver(link, e)}
		if e.Addr6.IsValid() {
			errs = append(errs, setIPv6(link, e))
		}
		gen, err := generation()
		v.nftables = gen
		return errors.Join(append(errs, err)...)
	})
	return v, v.err
}

func inSandbox(path string, f func() error) error {
	sandbox, err := netns.GetFromPath(path)
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
		if err := inSandbox(path, releaseResolver); err != nil && !errors.Is(err, fs.ErrNotExist) {
			o.log.Debug("a container that has left does not get Docker's resolver back", "sandbox", path, "err", err)
		}
	}
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

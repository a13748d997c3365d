package overlay

import (
	"maps"
	"reflect"
	"slices"
)

// desired is the state that the kernel should have: the last Config, and the endpoints
// that were attached since the caller made that Config.
type desired struct {
	config   *Config             // nil before the first Set
	attached map[string]Endpoint // by ID; wanted even where the Config lacks them
	// applied is the Config that devices and routes matched when they were last checked,
	// with later attached and detached endpoints. Nil means that they never were.
	applied *Config
	stale   bool // the last check failed: they have to be checked
}

func newDesired() desired { return desired{attached: map[string]Endpoint{}} }

// merged returns the Config with the attached endpoints added.
func (d *desired) merged() Config {
	c := *d.config
	all := maps.Clone(d.attached)
	for _, e := range c.Endpoints {
		all[e.ID] = e
	}
	c.Endpoints = slices.Collect(maps.Values(all))
	return c
}

// onlyPolicyDiffers reports whether the devices and routes of the desired state are the
// same as those last applied, and the kernel had them. The order of endpoints does not matter.
func (d *desired) onlyPolicyDiffers() bool { return !d.stale && d.wasApplied() }

// wasApplied reports whether the kernel has once had the devices and routes of the desired state.
// If it differs now, another program has changed it.
func (d *desired) wasApplied() bool {
	if d.applied == nil {
		return false
	}
	want, have := d.merged(), *d.applied
	sameEndpoints := maps.Equal(want.endpointAddrs(), have.endpointAddrs())
	for _, c := range []*Config{&want, &have} {
		c.Endpoints, c.Internal, c.Suspended, c.Superseded = nil, nil, nil, nil
		c.Groups, c.Blocked, c.Services, c.Revoked = nil, nil, nil, nil
	}
	return sameEndpoints && reflect.DeepEqual(want, have)
}

// endpoint finds an endpoint by its ID. Attached ones take precedence.
func (d *desired) endpoint(id string) (Endpoint, bool) {
	if e, ok := d.attached[id]; ok {
		return e, true
	}
	if d.config != nil {
		for _, e := range d.config.Endpoints {
			if e.ID == id {
				return e, true
			}
		}
	}
	return Endpoint{}, false
}

// attachedNow records that e's interface and routes exist.
func (d *desired) attachedNow(e Endpoint) {
	if d.applied != nil {
		d.applied.Endpoints = append(d.applied.Endpoints, e)
	}
}

// detach forgets an attached endpoint, and that its interface and routes exist.
func (d *desired) detach(id string) {
	delete(d.attached, id)
	if d.applied != nil {
		d.applied.Endpoints = slices.DeleteFunc(d.applied.Endpoints, func(e Endpoint) bool { return e.ID == id })
	}
}

// endpointAddrs returns the part of each endpoint that its interface and routes depend on.
func (c Config) endpointAddrs() map[string]Endpoint {
	out := map[string]Endpoint{}
	for _, e := range c.Endpoints {
		out[e.ID] = Endpoint{Addr4: e.Addr4, Addr6: e.Addr6}
	}
	return out
}

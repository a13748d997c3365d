package overlay

import (
	"net/netip"
	"testing"
)

func TestOnlyPolicyDiffers(t *testing.T) {
	for name, test := range map[string]struct {
		change func(d *desired)
		want   bool
	}{
		"nothing changed":                      {func(*desired) {}, true},
		"another permission":                   {func(d *desired) { d.config.Groups = nil }, true},
		"another blocked port":                 {func(d *desired) { d.config.Blocked = nil }, true},
		"a container became internal":          {func(d *desired) { d.config.Endpoints[0].Internal = true }, true},
		"nothing applied yet":                  {func(d *desired) { d.applied = nil }, false},
		"a peer left":                          {func(d *desired) { d.config.Peers = d.config.Peers[1:] }, false},
		"a published port":                     {func(d *desired) { d.config.Publish = d.config.Publish[1:] }, false},
		"an endpoint without an interface yet": {func(d *desired) { d.attached["new"] = Endpoint{ID: "new"} }, false},
		"an endpoint that was attached": {func(d *desired) {
			d.attached["new"] = Endpoint{ID: "new"}
			d.attachedNow(d.attached["new"])
		}, true},
		"an endpoint that was detached but is in the Config": {func(d *desired) { d.detach("web") }, false},
		"an endpoint with another address":                   {func(d *desired) { d.config.Endpoints[0].Addr4 = netip.MustParseAddr("100.64.1.9") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			d, want := newDesired(), goldenConfig()
			applied := goldenConfig()
			d.config, d.applied = &want, &applied
			test.change(&d)
			if got := d.onlyPolicyDiffers(); got != test.want {
				t.Errorf("onlyPolicyDiffers() = %t, want %t", got, test.want)
			}
		})
	}
}

func TestAttachedEndpointsAreFoundUntilTheyAreDetached(t *testing.T) {
	d, c := newDesired(), goldenConfig()
	d.config = &c
	e := Endpoint{ID: "new", Addr4: netip.MustParseAddr("100.64.1.9")}
	d.attached[e.ID] = e
	if got, ok := d.endpoint(e.ID); !ok || got != e {
		t.Errorf("endpoint(%q) = %v, %t, want the attached endpoint", e.ID, got, ok)
	}
	if got := len(d.merged().Endpoints); got != len(c.Endpoints)+1 {
		t.Errorf("the merged Config has %d endpoints, want the %d of the Config and the attached one", got, len(c.Endpoints))
	}
	d.detach(e.ID)
	if got, ok := d.endpoint(e.ID); ok {
		t.Errorf("endpoint(%q) = %v after detach, want none", e.ID, got)
	}
	if _, ok := d.endpoint("web"); !ok {
		t.Error("an endpoint of the Config is not found")
	}
}

package docker

import (
	"context"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

// ensureNetwork returns the ID of our network, which it creates if it is missing. The
// network has no IPv6, because the linker itself gives containers IPv6 addresses.
func (e *Engine) ensureNetwork(ctx context.Context) (string, error) {
	want := e.cfg.Network
	have, err := e.api.NetworkList(ctx, client.NetworkListOptions{})
	if err != nil {
		return "", fmt.Errorf("list networks: %w", err)
	}
	other := ""
	for _, n := range have.Items {
		if n.Name == want.Name {
			return n.ID, want.check(n.Network)
		}
		if n.Driver == want.Driver {
			other = n.Name
		}
	}
	if other != "" {
		return "", fmt.Errorf("network %q already uses the driver %s, which serves one network a host: remove that network, or use its name", other, want.Driver)
	}
	if e.cfg.NetworkGone != nil {
		e.cfg.NetworkGone()
	}
	return e.createNetwork(ctx)
}

func (e *Engine) createNetwork(ctx context.Context) (string, error) {
	want := e.cfg.Network
	v6 := false
	ipam := &network.IPAM{Driver: want.Driver, Config: []network.IPAMConfig{{Subnet: want.Subnet}}}
	made, err := e.api.NetworkCreate(ctx, want.Name, client.NetworkCreateOptions{
		Driver: want.Driver, IPAM: ipam, EnableIPv6: &v6, Attachable: true,
	})
	if errdefs.IsConflict(err) {
		return "", fmt.Errorf("network %q was created by somebody else at the same time: %w", want.Name, err)
	}
	if err != nil {
		return "", fmt.Errorf("create network %q: %w", want.Name, err)
	}
	e.cfg.Log.Info("created the Docker network", "network", want.Name, "id", made.ID)
	return made.ID, nil
}

// check returns an error if an existing network differs from the one that we would create.
func (want Network) check(n network.Network) error {
	if n.Driver != want.Driver || n.IPAM.Driver != want.Driver {
		return fmt.Errorf("the Docker network %q exists with the driver %s and the IPAM driver %s instead of %s: remove it (docker network rm %s)",
			n.Name, n.Driver, n.IPAM.Driver, want.Driver, n.Name)
	}
	if len(n.IPAM.Config) != 1 || n.IPAM.Config[0].Subnet != want.Subnet {
		return fmt.Errorf("the Docker network %q exists with another subnet than %s: remove it (docker network rm %s)", n.Name, want.Subnet, n.Name)
	}
	return nil
}

// inspectNetwork returns the endpoints of our network, by ID.
func (e *Engine) inspectNetwork(ctx context.Context) (map[string]Endpoint, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	r, err := e.api.NetworkInspect(ctx, e.cfg.Network.Name, client.NetworkInspectOptions{})
	if err != nil {
		return nil, fmt.Errorf("inspect network: %w", err)
	}
	out := map[string]Endpoint{}
	for container, n := range r.Network.Containers {
		ep := Endpoint{ID: n.EndpointID, Container: container, Addr4: n.IPv4Address.Addr(), MAC: n.MacAddress.String()}
		if strings.HasPrefix(container, "ep-") { // the Engine's key for an endpoint without a container
			ep.Container = ""
		}
		out[ep.ID] = ep
	}
	return out, nil
}

package plugin

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"tombolo/linker/attach"
)

// containerPrefix is the beginning of the interface's name inside the container;
// Docker adds a number.
const containerPrefix = "eth"

func (s *Server) createNetwork(_ context.Context, r networkRequest) (any, error) {
	if r.NetworkID == "" {
		return nil, errors.New("no network ID")
	}
	if len(r.IPv6Data) > 0 {
		return nil, errIPv6
	}
	for _, d := range r.IPv4Data {
		pool, err := netip.ParsePrefix(d.Pool)
		if err != nil {
			return nil, fmt.Errorf("subnet: %w", err)
		}
		if pool != s.cfg.Pool4 && pool.String() != "0.0.0.0/0" {
			return nil, fmt.Errorf("subnet %s is not the cluster's: add --ipam-driver tombolo --subnet %s", pool, s.cfg.Pool4)
		}
	}
	return struct{}{}, s.cfg.Networks.CreateNetwork(r.NetworkID)
}

func (s *Server) deleteNetwork(_ context.Context, r networkRequest) (any, error) {
	return struct{}{}, s.cfg.Networks.DeleteNetwork(r.NetworkID)
}

func (s *Server) createEndpoint(ctx context.Context, r endpointRequest) (any, error) {
	if r.Interface == nil || r.Interface.Address == "" {
		return nil, errors.New("the endpoint has no address: its network needs --ipam-driver tombolo")
	}
	addr, aerr := parseAddr(r.Interface.Address)
	published, perr := publications(r.Options.PortMap)
	if err := errors.Join(checkID(r), aerr, perr); err != nil {
		return nil, err
	}
	err := s.cfg.Endpoints.Create(ctx, attach.Endpoint{
		ID: r.EndpointID, Addr4: addr, MAC: r.Interface.MacAddress, Published: published,
	})
	return createEndpointReply{}, err
}

func (s *Server) join(ctx context.Context, r endpointRequest) (any, error) {
	if err := checkID(r); err != nil {
		return nil, err
	}
	iface, err := s.cfg.Endpoints.Join(ctx, r.EndpointID, r.SandboxKey)
	if err != nil {
		return nil, err
	}
	return joinReply{
		InterfaceName: interfaceName{SrcName: iface.Container, DstPrefix: containerPrefix},
		Gateway:       attach.Gateway4.String(),
		StaticRoutes:  []staticRoute{{Destination: attach.Gateway4.String() + "/32", RouteType: 1}},
	}, nil
}

func (s *Server) leave(ctx context.Context, r endpointRequest) (any, error) {
	return struct{}{}, errors.Join(checkID(r), s.cfg.Endpoints.Leave(ctx, r.EndpointID))
}

func (s *Server) deleteEndpoint(ctx context.Context, r endpointRequest) (any, error) {
	return struct{}{}, errors.Join(checkID(r), s.cfg.Endpoints.Delete(ctx, r.EndpointID))
}

func (s *Server) publish(ctx context.Context, r endpointRequest) (any, error) {
	ports, err := publications(r.Options.PortMap)
	if err := errors.Join(checkID(r), err); err != nil {
		return nil, err
	}
	return struct{}{}, s.cfg.Endpoints.Publish(ctx, r.EndpointID, ports)
}

func (s *Server) unpublish(ctx context.Context, r endpointRequest) (any, error) {
	return struct{}{}, errors.Join(checkID(r), s.cfg.Endpoints.Unpublish(ctx, r.EndpointID))
}

// checkID refuses what cannot be libnetwork's ID, 64 hexadecimal digits: the names
// of interfaces are made of it.
func checkID(r endpointRequest) error {
	if len(r.EndpointID) != 64 {
		return fmt.Errorf("%q is no endpoint ID", r.EndpointID)
	}
	for _, c := range r.EndpointID {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return fmt.Errorf("%q is no endpoint ID", r.EndpointID)
		}
	}
	return nil
}

// protocols are IANA's numbers of those that have ports.
var protocols = map[uint8]string{6: "tcp", 17: "udp", 132: "sctp"}

func publications(bindings []portBinding) ([]attach.PublishedPort, error) {
	var out []attach.PublishedPort
	for _, b := range bindings {
		host, err := parseAddr(b.HostIP)
		if err != nil {
			return nil, fmt.Errorf("publish port %d: %w", b.Port, err)
		}
		if host.IsValid() && host.IsUnspecified() {
			host = netip.Addr{}
		}
		proto := protocols[b.Proto]
		if proto == "" || b.Port == 0 {
			return nil, fmt.Errorf("publish port %d of IP protocol %d: not possible", b.Port, b.Proto)
		}
		p := attach.PublishedPort{HostIP: host, HostPort: b.HostPort, Port: b.Port, Proto: proto}
		if b.HostPortEnd > b.HostPort {
			p.Last = b.HostPortEnd
		}
		if !slices.Contains(out, p) { // some Engines name a port once for each family
			out = append(out, p)
		}
	}
	return out, nil
}

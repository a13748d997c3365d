package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"

	"tombolo/linker/attach"
)

// containerPrefix begins the name of the interface in the container. Docker adds a
// number.
const containerPrefix = "eth"

func (s *Server) createNetwork(_ context.Context, r networkRequest) (any, error) {
	if r.NetworkID == "" {
		return nil, errors.New("the request names no network")
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
			return nil, fmt.Errorf("subnet %s is not the cluster's pool: make the network with --ipam-driver tombolo --subnet %s", pool, s.cfg.Pool4)
		}
	}
	return struct{}{}, s.cfg.Table.CreateNetwork(r.NetworkID)
}

func (s *Server) deleteNetwork(_ context.Context, r networkRequest) (any, error) {
	return struct{}{}, s.cfg.Table.DeleteNetwork(r.NetworkID)
}

func (s *Server) createEndpoint(ctx context.Context, r endpointRequest) (any, error) {
	if r.Interface == nil || r.Interface.Address == "" {
		return nil, errors.New("the endpoint has no address: its network needs --ipam-driver tombolo")
	}
	addr, aerr := parseAddr(r.Interface.Address)
	published, perr := publishedPorts(r.Options.PortMap)
	if err := errors.Join(checkID(r), aerr, perr, s.checkInterface(r.Options.Interface)); err != nil {
		return nil, err
	}
	err := s.cfg.Table.Create(ctx, attach.Endpoint{
		ID: r.EndpointID, Addr4: addr, MAC: r.Interface.MacAddress, Interface: r.Options.Interface, Published: published,
	})
	return json.RawMessage(`{"Interface":null}`), err // IPAM gave the address, and Docker the MAC
}

func (s *Server) join(ctx context.Context, r endpointRequest) (any, error) {
	if err := checkID(r); err != nil {
		return nil, err
	}
	iface, name, err := s.cfg.Table.Join(ctx, r.EndpointID, r.SandboxKey)
	if err != nil {
		return nil, err
	}
	return joinReply{
		InterfaceName: interfaceName{iface.Container, name, containerPrefix},
		Gateway:       attach.Gateway4.String(),
		StaticRoutes:  []staticRoute{{Destination: attach.Gateway4.String() + "/32", RouteType: 1}},
	}, nil
}

// onEndpoint returns a call that runs f for the endpoint of the request.
func onEndpoint(f func(ctx context.Context, id string) error) call {
	return decoded(func(ctx context.Context, r endpointRequest) (any, error) {
		if err := checkID(r); err != nil {
			return nil, err
		}
		return struct{}{}, f(ctx, r.EndpointID)
	})
}

func (s *Server) publish(ctx context.Context, r endpointRequest) (any, error) {
	ports, err := publishedPorts(r.Options.PortMap)
	if err := errors.Join(checkID(r), err); err != nil {
		return nil, err
	}
	return struct{}{}, s.cfg.Table.Publish(ctx, r.EndpointID, ports)
}

// checkID returns an error if the endpoint's ID is not 64 hexadecimal digits, as
// libnetwork's are. The names of interfaces are made of it.
func checkID(r endpointRequest) error {
	if len(r.EndpointID) != 64 || strings.Trim(r.EndpointID, "0123456789abcdef") != "" {
		return fmt.Errorf("%q is not an endpoint ID", r.EndpointID)
	}
	return nil
}

// checkInterface returns an error if the kernel would refuse the name (dev_valid_name in
// net/core/dev.c), if every container has that interface already, or if the Engine would call
// the interface eth0 all the same.
func (s *Server) checkInterface(name string) error {
	if name == "" {
		return nil
	}
	switch version := s.cfg.EngineVersion(); {
	case name == "lo", name == ".", name == "..", len(name) > 15, strings.ContainsAny(name, "/:%"), strings.ContainsFunc(name, unicode.IsSpace):
		return fmt.Errorf("%q cannot be the name of a container's interface", name)
	case !namesInterfaces(version):
		return fmt.Errorf("interface_name %s: this host's Docker Engine is %s, and needs to be 29.8 or later to name an interface", name, version)
	}
	return nil
}

// namesInterfaces reports whether an Engine gives interfaces the name that a network driver
// asks for (moby#52866). Of a version that cannot be read it is assumed.
func namesInterfaces(version string) bool {
	var major, minor int
	if n, _ := fmt.Sscanf(version, "%d.%d", &major, &minor); n < 2 {
		return true
	}
	return major > 29 || major == 29 && minor >= 8
}

// protocols has IANA's numbers of the IP protocols that have ports.
var protocols = map[uint8]string{6: "tcp", 17: "udp", 132: "sctp"}

func publishedPorts(bindings []portBinding) ([]attach.PublishedPort, error) {
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
			return nil, fmt.Errorf("publish port %d of IP protocol %d: only TCP, UDP and SCTP ports can be published", b.Port, b.Proto)
		}
		p := attach.PublishedPort{HostIP: host, HostPort: b.HostPort, Port: b.Port, Proto: proto}
		if b.HostPortEnd > b.HostPort {
			p.Last = b.HostPortEnd
		}
		if !slices.Contains(out, p) { // some Engines list a port once for each IP version
			out = append(out, p)
		}
	}
	return out, nil
}

package plugin

// The messages of libnetwork's remote drivers, as its packages drivers/remote/api and
// ipams/remote/api define them. Fields that we do not read are left out.

// errorReply reports an error. Docker reads Err of network drivers, and Error of IPAM
// drivers.
type errorReply struct {
	Err   string
	Error string
}

type poolRequest struct {
	Pool    string
	SubPool string
	V6      bool
}

type poolReply struct {
	PoolID string
	Pool   string
	Data   map[string]string
}

type addressRequest struct {
	PoolID  string
	Address string
	Options map[string]string
}

type addressReply struct {
	Address string
	Data    map[string]string
}

type networkRequest struct {
	NetworkID string
	IPv4Data  []struct{ Pool string }
	IPv6Data  []any
}

type endpointRequest struct {
	EndpointID string
	Interface  *endpointInterface
	SandboxKey string
	Options    options
}

type endpointInterface struct {
	Address    string
	MacAddress string
}

// options are the generic options that we read.
type options struct {
	PortMap []portBinding `json:"com.docker.network.portmap"`
	// Interface names the interface in the container (docker run --network
	// name=tombolo,driver-opt=com.docker.network.endpoint.ifname=NAME).
	Interface string `json:"com.docker.network.endpoint.ifname"`
}

// portBinding is libnetwork's types.PortBinding. Proto is the number of the IP protocol.
// HostPort 0 asks for any port; a HostPortEnd above HostPort asks for any port of the
// range.
type portBinding struct {
	Proto       uint8
	Port        uint16
	HostIP      string
	HostPort    uint16
	HostPortEnd uint16
}

type joinReply struct {
	InterfaceName interfaceName
	Gateway       string
	StaticRoutes  []staticRoute
}

// interfaceName has the interface's name on the host and, in the container, either its whole
// name, which Engines before 29.8 ignore, or the letters to which Docker adds a number.
type interfaceName struct {
	SrcName   string
	DstName   string `json:",omitempty"`
	DstPrefix string
}

type staticRoute struct {
	Destination string
	RouteType   int // 1: on the link, without a next hop
	NextHop     string
}

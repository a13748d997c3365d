package plugin

// The messages of libnetwork's remote drivers, as its drivers/remote/api and
// ipams/remote/api define them. Fields that we never read are left out.

type activation struct {
	Implements []string
}

// failure is a logical error: network drivers read Err, IPAM drivers Error.
type failure struct {
	Err   string
	Error string
}

type networkCapabilities struct {
	Scope             string
	ConnectivityScope string
}

type ipamCapabilities struct {
	RequiresMACAddress    bool
	RequiresRequestReplay bool
}

type addressSpaces struct {
	LocalDefaultAddressSpace  string
	GlobalDefaultAddressSpace string
}

type poolRequest struct {
	AddressSpace string
	Pool         string
	SubPool      string
	Options      map[string]string
	V6           bool
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
	Options   map[string]any
	IPv4Data  []ipamData
	IPv6Data  []ipamData
}

type ipamData struct {
	AddressSpace string
	Pool         string
	Gateway      string
}

type endpointRequest struct {
	NetworkID  string
	EndpointID string
	Interface  *endpointInterface
	SandboxKey string
	Options    options
}

type endpointInterface struct {
	Address    string
	MacAddress string
}

// options are the generic ones that matter to us.
type options struct {
	PortMap []portBinding `json:"com.docker.network.portmap"`
}

// portBinding is libnetwork's types.PortBinding: Proto is the IP protocol number,
// HostPort 0 means any, HostPortEnd closes a range to choose from.
type portBinding struct {
	Proto       uint8
	IP          string
	Port        uint16
	HostIP      string
	HostPort    uint16
	HostPortEnd uint16
}

type createEndpointReply struct {
	Interface *endpointInterface // never set: IPAM gave the addresses, and Docker the MAC
}

type infoReply struct {
	Value map[string]string
}

type joinReply struct {
	InterfaceName interfaceName
	Gateway       string
	StaticRoutes  []staticRoute
}

type interfaceName struct {
	SrcName   string
	DstPrefix string
}

type staticRoute struct {
	Destination string
	RouteType   int // 1: on the link, no next hop
	NextHop     string
}

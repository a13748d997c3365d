package inspect

import "net/netip"

// Request says what to look at. Every part is optional.
type Request struct {
	Sandbox   string     // path of the container's network namespace; "": nothing inside of it
	Name      string     // look this name up from inside of the container
	Listeners bool       // list the sockets of the container that listen
	From      netip.Addr // the container's address, with which the kernel would forward its packets
	Interface string     // the host's side of the container's pair of interfaces
	To        netip.Addr // find the way to this address
	Port      uint16     // open a connection to this port of To; 0: none
}

// Result is what was seen. A part that was not asked for is nil.
type Result struct {
	Answer     *Answer     `json:"answer,omitempty"`
	Route      *Route      `json:"route,omitempty"`
	Connection *Connection `json:"connection,omitempty"`
	Sockets    *Sockets    `json:"sockets,omitempty"`
}

// Answer is the answer to a query that was sent from inside of a container to the resolver
// that its processes use.
type Answer struct {
	Rcode string       `json:"rcode,omitempty"` // like NOERROR or NXDOMAIN; "": there was no answer
	Addrs []netip.Addr `json:"addrs,omitempty"`
	Error string       `json:"error,omitempty"` // why there was no answer
}

// Route is the way that the kernel would take for a packet from the container.
type Route struct {
	Device    string     `json:"device,omitempty"`
	Gateway   netip.Addr `json:"gateway,omitzero"`
	Neighbour string     `json:"neighbour,omitempty"` // MAC address of the gateway, on a device of the overlay
	Peer      netip.Addr `json:"peer,omitzero"`       // the host to which the VXLAN device sends that MAC address
	Error     string     `json:"error,omitempty"`     // why there is no route
}

// Outcome is how an attempt to open a connection ended.
type Outcome string

// The outcomes of an attempt.
const (
	Connected   Outcome = "connected"
	Refused     Outcome = "refused"     // RST
	Unreachable Outcome = "unreachable" // ICMP, or no route
	Timeout     Outcome = "timeout"     // no answer within DialTimeout
)

// Connection is an attempt to open a TCP connection from inside of the container.
type Connection struct {
	Outcome Outcome `json:"outcome"`
	Error   string  `json:"error,omitempty"`
}

// Sockets are those of a container that accept connections or datagrams.
type Sockets struct {
	Listening []Socket `json:"listening"`
	Error     string   `json:"error,omitempty"` // why they could not be listed
}

// Socket is one of them.
type Socket struct {
	Proto string         `json:"proto"` // "tcp" or "udp"
	Addr  netip.AddrPort `json:"addr"`  // with an unspecified address: any address of its family; "::" takes IPv4 too
}

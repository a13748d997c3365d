package record

import (
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"tombolo/linker/record/recordpb"
)

var (
	kindNumbers   = map[Kind]recordpb.Kind{KindHost: recordpb.Kind_KIND_HOST, KindEndpoint: recordpb.Kind_KIND_ENDPOINT, KindApp: recordpb.Kind_KIND_APP, KindForgotten: recordpb.Kind_KIND_FORGOTTEN}
	healthNumbers = map[Health]recordpb.Health{
		HealthNone: recordpb.Health_HEALTH_NONE, HealthStarting: recordpb.Health_HEALTH_STARTING,
		HealthHealthy: recordpb.Health_HEALTH_HEALTHY, HealthUnhealthy: recordpb.Health_HEALTH_UNHEALTHY,
	}
	protoNumbers = map[string]recordpb.Proto{"tcp": recordpb.Proto_PROTO_TCP, "udp": recordpb.Proto_PROTO_UDP, "sctp": recordpb.Proto_PROTO_SCTP}

	healthNames = inverse(healthNumbers)
	protoNames  = inverse(protoNumbers)
)

func inverse[K, V comparable](m map[K]V) map[V]K {
	out := map[V]K{}
	for k, v := range m {
		out[v] = k
	}
	return out
}

// newerKind begins the Kind of a record that a newer version wrote. The number of the
// kind follows it.
const newerKind = "kind-"

func kindOf(n recordpb.Kind) Kind {
	for kind, number := range kindNumbers {
		if number == n {
			return kind
		}
	}
	return Kind(newerKind + strconv.Itoa(int(n)))
}

// number returns the number of k in the wire form, or KIND_UNSPECIFIED if k is not a
// kind.
func (k Kind) number() recordpb.Kind {
	if n, ok := kindNumbers[k]; ok {
		return n
	}
	n, err := strconv.ParseInt(strings.TrimPrefix(string(k), newerKind), 10, 32)
	if err != nil || kindOf(recordpb.Kind(n)) != k {
		return recordpb.Kind_KIND_UNSPECIFIED
	}
	return recordpb.Kind(n)
}

// Known reports whether this version knows the content of records of this kind. The
// catalog stores and passes on records of other kinds, but its snapshots lack them.
func (k Kind) Known() bool { return kindNumbers[k] != recordpb.Kind_KIND_UNSPECIFIED }

// valid reports whether k is a kind of this version or of a newer one.
func (k Kind) valid() bool { return k.number() > recordpb.Kind_KIND_UNSPECIFIED }

func hostToWire(h *Host) *recordpb.Host {
	name := h.Name
	if h.ID == "" {
		name = "" // it is the record's
	}
	return &recordpb.Host{
		Name: name, Version: h.Version,
		Underlay: h.Underlay.AsSlice(), Block4: prefixToWire(h.Block4), Block6: prefixToWire(h.Block6),
		Overlay4: h.Overlay4.AsSlice(), Overlay6: h.Overlay6.AsSlice(), Mac: h.MAC,
		Claimed: timeToWire(h.Claimed), Hold: recordpb.Hold(slices.Index(holds, h.Hold)), RestartMs: uint32(h.Restarting.Milliseconds()),
		Mtu: uint32(h.MTU), Troubles: h.Troubles, Addresses: addrsToWire(h.Addresses),
	}
}

func addrsToWire(addrs []netip.Addr) (out [][]byte) {
	for _, a := range addrs {
		out = append(out, a.AsSlice())
	}
	return out
}

func hostFromWire(key string, m *recordpb.Host) (*Host, error) {
	var c converter
	id, name := key, m.Name
	if name == "" {
		id, name = "", key
	}
	h := &Host{
		ID: id, Name: name, Version: m.Version,
		Underlay: c.addr(m.Underlay), Block4: c.prefix(m.Block4), Block6: c.prefix(m.Block6),
		Overlay4: c.addr(m.Overlay4), Overlay6: c.addr(m.Overlay6), MAC: m.Mac,
		Claimed: timeFromWire(m.Claimed), Hold: holdFromWire(m), Restarting: restartingFromWire(m),
		MTU: c.int(m.Mtu), Troubles: m.Troubles,
	}
	for _, a := range m.Addresses {
		h.Addresses = append(h.Addresses, c.addr(a))
	}
	return h, c.err
}

// holdFromWire returns HoldSettled for a block whose hold this version does not know, and for
// one of an earlier version, which did not tell it.
func holdFromWire(m *recordpb.Host) Hold {
	switch n := int(m.Hold); {
	case n > 0 && n < len(holds):
		return holds[n]
	case m.Hold == recordpb.Hold_HOLD_UNSPECIFIED && m.Block4 == nil:
		return HoldNone
	}
	return HoldSettled
}

// earlierRestart is how long earlier versions gave a linker to restart, unless they were
// configured otherwise. They announced the time at which it ends, by their own clock.
const earlierRestart = 30 * time.Second

func restartingFromWire(m *recordpb.Host) time.Duration {
	if m.RestartMs == 0 && m.Restart != 0 {
		return earlierRestart
	}
	return time.Duration(m.RestartMs) * time.Millisecond
}

func endpointToWire(e *Endpoint) *recordpb.Endpoint {
	m := &recordpb.Endpoint{
		ContainerName: e.ContainerName, Hostname: e.Hostname, Addr4: e.Addr4.AsSlice(), Addr6: e.Addr6.AsSlice(),
		App: e.App, Service: e.Service, Slot: uint32(e.Slot), Generation: e.Generation, Task: e.Task,
		Strict: e.Strict, Internal: e.Internal, Running: e.Running,
		Health: healthNumbers[e.Health], Started: timeToWire(e.Started),
		Networks: networksToWire(e.Networks), Links: linksToWire(e.Links),
		Export: exportToWire(e.Export), Ports: portsToWire(e.Ports), Dnsrr: e.DNSRR,
	}
	m.Container, m.PackedContainer = pack(e.Container)
	m.Published = publishedToWire(e.Published)
	return m
}

func endpointFromWire(id, host string, m *recordpb.Endpoint) (*Endpoint, error) {
	var c converter
	e := &Endpoint{
		ID: id, Host: host, Container: unpack(m.Container, m.PackedContainer),
		ContainerName: m.ContainerName, Hostname: m.Hostname, Addr4: c.addr(m.Addr4), Addr6: c.addr(m.Addr6),
		App: m.App, Service: m.Service, Slot: c.int(m.Slot), Generation: m.Generation, Task: m.Task,
		Strict: m.Strict, Internal: m.Internal, Running: m.Running,
		Health: healthFromWire(m.Health), Started: timeFromWire(m.Started),
		Networks: networksFromWire(m.Networks), Links: linksFromWire(m.Links),
		Export: exportFromWire(m.Export), Ports: c.ports(m.Ports), DNSRR: m.Dnsrr,
	}
	e.Published = c.published(m.Published)
	return e, c.err
}

// healthFromWire returns HealthStarting for a health state that this version does not
// know, so that no name leads to the container.
func healthFromWire(n recordpb.Health) Health {
	if n == recordpb.Health_HEALTH_UNSPECIFIED {
		return ""
	}
	if h, ok := healthNames[n]; ok {
		return h
	}
	return HealthStarting
}

func appToWire(a *App) *recordpb.App {
	m := &recordpb.App{Revision: a.Revision, Strict: a.Strict}
	for _, name := range slices.Sorted(maps.Keys(a.Services)) {
		s := a.Services[name]
		m.Services = append(m.Services, &recordpb.Service{
			Name: name, Networks: networksToWire(s.Networks), Links: linksToWire(s.Links),
			Export: exportToWire(s.Export), Ports: portsToWire(s.Ports), Replicas: uint32(s.Replicas),
			Slots: slotsToWire(s), ContainerName: s.ContainerName, Hostname: s.Hostname, Dnsrr: s.DNSRR,
			Ingress: publishedToWire(s.Ingress),
		})
	}
	return m
}

func appFromWire(name string, m *recordpb.App) (*App, error) {
	var c converter
	a := &App{Name: name, Revision: m.Revision, Strict: m.Strict}
	for _, w := range m.Services {
		if a.Services == nil {
			a.Services = map[string]Service{}
		}
		if _, twice := a.Services[w.Name]; twice {
			return nil, fmt.Errorf("it has the service %.64q twice", w.Name)
		}
		s := Service{
			Networks: networksFromWire(w.Networks), Links: linksFromWire(w.Links), Export: exportFromWire(w.Export),
			Ports: c.ports(w.Ports), Replicas: c.int(w.Replicas), ContainerName: w.ContainerName, Hostname: w.Hostname,
			DNSRR: w.Dnsrr, Ingress: c.published(w.Ingress),
		}
		c.slots(&s, w.Slots)
		a.Services[w.Name] = s
	}
	return a, c.err
}

func slotsToWire(s Service) []*recordpb.Slot {
	slots := map[int]*recordpb.Slot{}
	for n, generation := range s.Generations {
		slots[n] = &recordpb.Slot{Number: uint32(n), Generation: generation}
	}
	for _, n := range s.Drained {
		if slots[n] == nil {
			slots[n] = &recordpb.Slot{Number: uint32(n)}
		}
		slots[n].Drained = true
	}
	var out []*recordpb.Slot
	for _, n := range slices.Sorted(maps.Keys(slots)) {
		out = append(out, slots[n])
	}
	return out
}

func networksToWire(networks map[string][]string) (out []*recordpb.Network) {
	for _, name := range slices.Sorted(maps.Keys(networks)) {
		out = append(out, &recordpb.Network{Name: name, Aliases: networks[name]})
	}
	return out
}

// networksFromWire joins the aliases of a network that occurs twice.
func networksFromWire(networks []*recordpb.Network) map[string][]string {
	if len(networks) == 0 {
		return nil
	}
	out := make(map[string][]string, len(networks))
	for _, n := range networks {
		out[n.Name] = append(out[n.Name], n.Aliases...)
	}
	return out
}

func linksToWire(links []Link) (out []*recordpb.Link) {
	for _, l := range links {
		out = append(out, &recordpb.Link{App: l.App, Service: l.Service, Alias: l.Alias})
	}
	return out
}

func linksFromWire(links []*recordpb.Link) (out []Link) {
	for _, l := range links {
		out = append(out, Link{App: l.App, Service: l.Service, Alias: l.Alias})
	}
	return out
}

func exportToWire(x *Export) *recordpb.Export {
	if x == nil {
		return nil
	}
	return &recordpb.Export{To: x.To}
}

func exportFromWire(m *recordpb.Export) *Export {
	if m == nil {
		return nil
	}
	return &Export{To: m.To}
}

func portsToWire(ports []Port) (out []*recordpb.Port) {
	for _, p := range ports {
		out = append(out, &recordpb.Port{Name: p.Name, Number: uint32(p.Number), Proto: protoNumbers[p.Proto]})
	}
	return out
}

func publishedToWire(ports []PublishedPort) (out []*recordpb.Published) {
	for _, p := range ports {
		out = append(out, &recordpb.Published{
			HostIp: p.HostIP.AsSlice(), HostPort: uint32(p.HostPort), Port: uint32(p.Port), Proto: protoNumbers[p.Proto],
		})
	}
	return out
}

func prefixToWire(p netip.Prefix) *recordpb.Prefix {
	if !p.IsValid() {
		return nil
	}
	return &recordpb.Prefix{Addr: p.Addr().AsSlice(), Bits: uint32(p.Bits())}
}

func timeToWire(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func timeFromWire(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

// converter turns wire values into ours and keeps the first error, so that only the end
// of a conversion has to look at it.
type converter struct{ err error }

func (c *converter) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

func (c *converter) addr(b []byte) netip.Addr {
	if len(b) == 0 {
		return netip.Addr{}
	}
	a, ok := netip.AddrFromSlice(b)
	if !ok {
		c.fail("an address has %d bytes", len(b))
	}
	return a
}

func (c *converter) prefix(m *recordpb.Prefix) netip.Prefix {
	if m == nil {
		return netip.Prefix{}
	}
	a := c.addr(m.Addr)
	p := netip.PrefixFrom(a, int(min(m.Bits, math.MaxUint8)))
	if !p.IsValid() {
		c.fail("%s/%d is not a block of addresses", a, m.Bits)
		return netip.Prefix{}
	}
	return p
}

func (c *converter) int(n uint32) int {
	if n > math.MaxInt32 {
		c.fail("number %d is too large", n)
		return 0
	}
	return int(n)
}

func (c *converter) port(n uint32) uint16 {
	if n > math.MaxUint16 {
		c.fail("there is no port %d", n)
		return 0
	}
	return uint16(n)
}

// ports leaves out a port whose protocol this version does not know.
func (c *converter) ports(ports []*recordpb.Port) (out []Port) {
	for _, p := range ports {
		if proto, ok := protoNames[p.Proto]; ok {
			out = append(out, Port{Name: p.Name, Number: c.port(p.Number), Proto: proto})
		}
	}
	return out
}

// published leaves out a port whose protocol this version does not know.
func (c *converter) published(ports []*recordpb.Published) (out []PublishedPort) {
	for _, p := range ports {
		if proto, ok := protoNames[p.Proto]; ok {
			out = append(out, PublishedPort{HostIP: c.addr(p.HostIp), HostPort: c.port(p.HostPort), Port: c.port(p.Port), Proto: proto})
		}
	}
	return out
}

func (c *converter) slots(s *Service, slots []*recordpb.Slot) {
	for _, w := range slots {
		n := c.int(w.Number)
		if w.Generation > 0 {
			if s.Generations == nil {
				s.Generations = map[int]uint64{}
			}
			s.Generations[n] = w.Generation
		}
		if w.Drained {
			s.Drained = append(s.Drained, n)
		}
	}
}

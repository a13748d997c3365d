package record

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The bounds that Check enforces. They are far above the needs of Compose files, and low
// enough that no record can exhaust the linker that receives it.
const (
	MaxID       = 255   // bytes of an ID and of the name of a task or container
	MaxNetwork  = 255   // bytes of a network's name
	MaxItems    = 1024  // networks, aliases, links or ports of one service
	MaxServices = 4096  // services of one app
	MaxSlots    = 65536 // generations or drained slots of one service
	MaxTroubles = 3     // troubles of one host
	MaxTrouble  = 240   // bytes of a trouble: a host's record must fit into one packet of gossip
	MaxMTU      = 65535 // bytes of an IP packet

	// MaxAddresses is the number of other addresses of one host: they have to fit into one
	// packet of gossip too.
	MaxAddresses = 8

	// MaxEpoch leaves room for epochs larger than any that a mistake or a wrong clock
	// brings into the cluster. Milliseconds since 1970 are below it.
	MaxEpoch = 1 << 48
)

// Check returns an error that says what is wrong with r, such as a key that does not fit
// the content, or a name that DNS does not permit. Every record from a peer or from the
// API is checked before it reaches the catalog.
func (r *Record) Check() error {
	if err := r.check(); err != nil {
		return fmt.Errorf("record %s/%.64q: %w", r.Kind, r.Name, err)
	}
	return nil
}

func (r *Record) check() error {
	if err := errors.Join(checkID("name", r.Name), checkID("owner", r.Owner)); err != nil {
		return err
	}
	if err := r.checkShape(); err != nil {
		return err
	}
	if r.Deleted {
		return nil
	}
	switch r.Kind {
	case KindHost:
		return r.checkHost()
	case KindEndpoint:
		return r.checkEndpoint()
	case KindApp:
		return r.checkApp()
	case KindForgotten:
		return errors.Join(checkLowerLabel(r.Name), checkLowerLabel(r.Forgotten.Name))
	}
	return nil // a kind of a newer version: the record is only stored and passed on
}

func (r *Record) checkShape() error {
	if !r.Kind.valid() {
		return fmt.Errorf("unknown kind %.16q", r.Kind)
	}
	if r.Version.Epoch > MaxEpoch {
		return fmt.Errorf("epoch %d is out of range", r.Version.Epoch)
	}
	if r.Kind == KindHost && r.Owner != r.Name {
		return fmt.Errorf("it is owned by %.64q, but a host owns its own record", r.Owner)
	}
	host, endpoint, app, forgotten := r.Host != nil, r.Endpoint != nil, r.App != nil, r.Forgotten != nil
	if r.Deleted && r.Kind == KindForgotten {
		return errors.New("it is never deleted")
	}
	if r.Deleted && (host || endpoint || app || forgotten) {
		return errors.New("a tombstone has no content")
	}
	if !r.Deleted && (host != (r.Kind == KindHost) || endpoint != (r.Kind == KindEndpoint) || app != (r.Kind == KindApp) || forgotten != (r.Kind == KindForgotten)) {
		return errors.New("content does not fit the kind")
	}
	return nil
}

func (r *Record) checkHost() error {
	h := r.Host
	if h.Key() != r.Name {
		return fmt.Errorf("it describes the host %.64q", h.Key())
	}
	return errors.Join(
		checkLowerLabel(h.Key()),
		checkLowerLabel(h.Name),
		checkText("version", h.Version, MaxID),
		checkAddr(h.Underlay, h.Underlay.Is4()),
		checkTime(h.Claimed),
		checkHold(h),
		checkBlock(h.Block4, h.Overlay4, true),
		checkBlock(h.Block6, h.Overlay6, false),
		checkText("mac", h.MAC, 32),
		checkMTU(h.MTU),
		checkTroubles(h.Troubles),
		checkAddresses(h.Addresses),
	)
}

func checkHold(h *Host) error {
	var errs []error
	if !slices.Contains(holds, h.Hold) {
		errs = append(errs, fmt.Errorf("unknown hold %.16q", h.Hold))
	}
	if h.Block4.IsValid() && h.Hold == HoldNone {
		errs = append(errs, fmt.Errorf("no hold of the block %s", h.Block4))
	}
	if h.Restarting < 0 || h.Restarting.Milliseconds() > math.MaxUint32 || h.Restarting%time.Millisecond != 0 {
		errs = append(errs, fmt.Errorf("a restart of %s is out of range", h.Restarting))
	}
	return errors.Join(errs...)
}

func checkMTU(mtu int) error {
	if mtu < 0 || mtu > MaxMTU {
		return fmt.Errorf("MTU %d is out of range", mtu)
	}
	return nil
}

func checkAddresses(addresses []netip.Addr) error {
	if len(addresses) > MaxAddresses {
		return fmt.Errorf("%d addresses: at most %d", len(addresses), MaxAddresses)
	}
	for _, a := range addresses {
		if !a.IsValid() || a.Zone() != "" || a.Is4In6() {
			return fmt.Errorf("address %q is no plain address", a)
		}
	}
	return nil
}

func checkTroubles(troubles []string) error {
	var errs []error
	if len(troubles) > MaxTroubles {
		errs = append(errs, fmt.Errorf("%d troubles: at most %d", len(troubles), MaxTroubles))
	}
	for _, t := range troubles {
		errs = append(errs, checkText("trouble", t, MaxTrouble))
	}
	return errors.Join(errs...)
}

func (r *Record) checkEndpoint() error {
	e := r.Endpoint
	if e.ID != r.Name || e.Host != r.Owner {
		return fmt.Errorf("it describes the endpoint %.64q of host %.64q, but is owned by %.64q", e.ID, e.Host, r.Owner)
	}
	return e.Check()
}

// Check returns an error that says what is wrong with the endpoint.
func (e *Endpoint) Check() error {
	errs := []error{
		checkID("id", e.ID),
		CheckLabel(e.Host),
		checkText("container", e.Container, MaxID),
		checkText("hostname", e.Hostname, MaxID),
		checkAddr(e.Addr4, true),
		checkAddr(e.Addr6, false),
		checkTime(e.Started),
		e.checkIdentity(),
	}
	switch e.Health {
	case HealthNone, HealthStarting, HealthHealthy, HealthUnhealthy, "":
	default:
		errs = append(errs, fmt.Errorf("unknown health %.16q", e.Health))
	}
	errs = append(errs, checkPublished(e.Published))
	return errors.Join(errs...)
}

func checkPublished(ports []PublishedPort) error {
	var errs []error
	if len(ports) > MaxItems {
		errs = append(errs, fmt.Errorf("%d published ports: at most %d", len(ports), MaxItems))
	}
	for _, p := range ports {
		if p.HostPort == 0 || p.Port == 0 {
			errs = append(errs, errors.New("published port 0"))
		}
		errs = append(errs, checkProto(p.Proto), checkAddr(p.HostIP, p.HostIP.Is4()))
	}
	return errors.Join(errs...)
}

// checkIdentity checks the fields that labels carry.
func (e *Endpoint) checkIdentity() error {
	errs := []error{
		checkText("container name", e.ContainerName, MaxID),
		checkText("task", e.Task, MaxID),
	}
	if e.Slot < 0 {
		errs = append(errs, fmt.Errorf("slot %d is negative", e.Slot))
	}
	if e.App != "" {
		errs = append(errs, checkLowerLabel(e.App))
	}
	if e.Service != "" {
		errs = append(errs, checkLowerLabel(e.Service))
		if e.App == "" {
			errs = append(errs, errors.New("a service without an app"))
		}
	}
	s := Service{Networks: e.Networks, Links: e.Links, Export: e.Export, Ports: e.Ports}
	return errors.Join(append(errs, s.check())...)
}

func (r *Record) checkApp() error {
	a := r.App
	if a.Name != r.Name {
		return fmt.Errorf("it describes the app %.64q", a.Name)
	}
	errs := []error{checkLowerLabel(a.Name)}
	if len(a.Services) > MaxServices {
		return fmt.Errorf("%d services: at most %d", len(a.Services), MaxServices)
	}
	for name, s := range a.Services {
		for _, err := range []error{checkLowerLabel(name), s.check()} {
			if err != nil {
				errs = append(errs, fmt.Errorf("service %.64q: %w", name, err))
			}
		}
	}
	return errors.Join(errs...)
}

func (s *Service) check() error {
	if n := max(len(s.Networks), len(s.Links), len(s.Ports)); n > MaxItems {
		return fmt.Errorf("%d networks, links or ports: at most %d", n, MaxItems)
	}
	if n := max(s.Replicas, len(s.Generations), len(s.Drained)); n > MaxSlots || s.Replicas < 0 {
		return fmt.Errorf("%d slots: at most %d", n, MaxSlots)
	}
	errs := []error{
		checkText("container name", s.ContainerName, MaxID),
		checkText("hostname", s.Hostname, MaxID),
		checkPublished(s.Ingress),
	}
	for network, aliases := range s.Networks {
		errs = append(errs, checkNetwork(network, aliases))
	}
	for _, l := range s.Links {
		errs = append(errs, l.check())
	}
	for _, p := range s.Ports {
		if p.Number == 0 {
			errs = append(errs, errors.New("port 0"))
		}
		errs = append(errs, checkText("port name", p.Name, MaxLabel), checkProto(p.Proto))
	}
	return errors.Join(append(errs, s.checkSlots(), s.Export.check())...)
}

func (s *Service) checkSlots() error {
	for _, slot := range slices.AppendSeq(slices.Clone(s.Drained), maps.Keys(s.Generations)) {
		if slot < 0 {
			return fmt.Errorf("slot %d is negative", slot)
		}
	}
	return nil
}

func (l Link) check() error {
	errs := []error{CheckLabel(l.Service)}
	if l.App != "" {
		errs = append(errs, CheckLabel(l.App))
	}
	if l.Alias != "" {
		errs = append(errs, CheckName(l.Alias))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("link: %w", err)
	}
	return nil
}

func (x *Export) check() error {
	if x == nil {
		return nil
	}
	if len(x.To) > MaxItems {
		return fmt.Errorf("export to %d apps: at most %d", len(x.To), MaxItems)
	}
	for _, app := range x.To {
		if err := CheckLabel(app); err != nil {
			return fmt.Errorf("export: %w", err)
		}
	}
	return nil
}

func checkNetwork(name string, aliases []string) error {
	if name == "" {
		return errors.New("a network without a name")
	}
	if len(aliases) > MaxItems {
		return fmt.Errorf("network %.64q: %d aliases: at most %d", name, len(aliases), MaxItems)
	}
	for _, a := range aliases {
		if err := CheckName(a); err != nil {
			return fmt.Errorf("network %.64q: alias: %w", name, err)
		}
	}
	return checkText("network", name, MaxNetwork)
}

func checkProto(p string) error {
	switch p {
	case "tcp", "udp", "sctp":
		return nil
	}
	return fmt.Errorf("protocol %.16q is not tcp, udp or sctp", p)
}

func checkID(what, s string) error {
	if s == "" {
		return fmt.Errorf("no %s", what)
	}
	return checkText(what, s, MaxID)
}

// checkText also refuses control characters, because texts appear in logs and in the
// columns of `ps`.
func checkText(what, s string, limit int) error {
	if len(s) > limit {
		return fmt.Errorf("%s of %d bytes: at most %d", what, len(s), limit)
	}
	if !utf8.ValidString(s) || strings.IndexFunc(s, unicode.IsControl) >= 0 {
		return fmt.Errorf("%s %.64q has a control character or is not UTF-8", what, s)
	}
	return nil
}

func checkLowerLabel(name string) error {
	if name != Normal(name) {
		return errors.Join(CheckLabel(name), fmt.Errorf("%.64q is not in lower case", name))
	}
	return CheckLabel(name)
}

func checkAddr(a netip.Addr, is4 bool) error {
	if a.IsValid() && (a.Is4() != is4 || a.Zone() != "" || a.Is4In6()) {
		return fmt.Errorf("address %s is of the wrong family", a)
	}
	return nil
}

func checkBlock(block netip.Prefix, own netip.Addr, is4 bool) error {
	if err := errors.Join(checkAddr(own, is4), checkAddr(block.Addr(), is4)); err != nil {
		return err
	}
	if block.IsValid() && own.IsValid() && !block.Contains(own) {
		return fmt.Errorf("overlay address %s is outside the block %s", own, block)
	}
	if block.IsValid() && block.Masked() != block {
		return fmt.Errorf("block %s has host bits", block)
	}
	return nil
}

// checkTime refuses times that Unix nanoseconds cannot express: about those before 1678
// and after 2262.
func checkTime(t time.Time) error {
	if !t.IsZero() && !time.Unix(0, t.UnixNano()).Equal(t) {
		return errors.New("time out of range")
	}
	return nil
}

// normalise puts every name into the spelling of Normal.
func (e *Endpoint) normalise() {
	for _, aliases := range e.Networks {
		for i := range aliases {
			aliases[i] = Normal(aliases[i])
		}
	}
	for i, l := range e.Links {
		e.Links[i] = Link{App: Normal(l.App), Service: Normal(l.Service), Alias: Normal(l.Alias)}
	}
}

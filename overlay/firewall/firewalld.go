package firewall

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/godbus/dbus/v5"
)

// firewalld's table belongs to firewalld alone if it was made with the flag owner, which is the
// default from firewalld 2.1 on (NftablesTableOwner in firewalld.conf). Then firewalld itself
// has to accept our packets, and is asked to by D-Bus (firewalld.dbus(5)):
//
//   - The zone tombolo has the interfaces of the overlay. Containers reach the DNS server there,
//     and nothing else of the host.
//   - The policies tombolo-in and tombolo-out let forwarded packets pass to and from the zone.
//     The overlay's own policy decides about them before.
//   - The policy tombolo-peers lets the hosts in the IP sets tombolo-peers4 and tombolo-peers6
//     reach the ports at which hosts talk to each other.
//
// They are permanent, because firewalld makes zones and policies in no other way. So they are
// there after a reload of firewalld, and before the linker starts.
const (
	firewalldTable = "firewalld"
	firewalldName  = "org.fedoraproject.FirewallD1"
	firewalldPath  = dbus.ObjectPath("/org/fedoraproject/FirewallD1")

	zoneName  = "tombolo"
	policyIn  = "tombolo-in"
	policyOut = "tombolo-out"
	policyPer = "tombolo-peers"
	peerSet   = "tombolo-peers" // followed by 4 or 6
)

// firewalldTimeout limits the conversation with firewalld, which may have to load all of its rules.
const firewalldTimeout = 20 * time.Second

// firewalld is a connection to a running firewalld.
type firewalld struct {
	ctx  context.Context
	conn *dbus.Conn
}

// withFirewalld calls do with a connection to the system's bus.
func withFirewalld(ctx context.Context, do func(firewalld) error) error {
	ctx, cancel := context.WithTimeout(ctx, firewalldTimeout)
	defer cancel()
	conn, err := dbus.ConnectSystemBus(dbus.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("connect to D-Bus: %w", err)
	}
	defer conn.Close()
	return do(firewalld{ctx, conn})
}

// call calls a method of one of firewalld's interfaces, such as "zone.getZones", and stores what it returns.
func (f firewalld) call(path dbus.ObjectPath, method string, result any, args ...any) error {
	call := f.conn.Object(firewalldName, path).CallWithContext(f.ctx, firewalldName+"."+method, 0, args...)
	err := call.Err
	if err == nil && result != nil {
		err = call.Store(result)
	}
	if err != nil {
		return fmt.Errorf("firewalld: %s: %w", method, err)
	}
	return nil
}

// ensure makes the zone, the policies and the IP sets that are missing, and brings the sets up to date.
func (f firewalld) ensure(c Config) error {
	var zones, policies, sets []string
	err := errors.Join(f.call(firewalldPath, "zone.getZones", &zones), f.call(firewalldPath, "policy.getPolicies", &policies), f.call(firewalldPath, "ipset.getIPSets", &sets))
	if err != nil {
		return err
	}
	have := map[string][]string{"zone": zones, "policy": policies, "ipset": sets}
	reload := false
	for _, p := range parts(c) {
		if slices.Contains(have[p.kind], p.name) && f.isCurrent(p) {
			continue
		}
		reload = true
		if err := f.put(p); err != nil {
			return err
		}
	}
	if reload {
		if err := f.call(firewalldPath, "reload", nil); err != nil {
			return err
		}
	}
	for _, family := range []int{4, 6} {
		if err := f.setPeers(family, c); err != nil {
			return err
		}
	}
	return nil
}

// isCurrent reports whether firewalld uses the part as it should be. An IP set is always so.
func (f firewalld) isCurrent(p part) bool {
	if p.read == "" {
		return true
	}
	var have settings
	if f.call(firewalldPath, p.read, &have, p.name) != nil {
		return false
	}
	return have[describes] == p.settings.(settings)[describes]
}

// put writes a part to the permanent configuration.
func (f firewalld) put(p part) error {
	err := f.call(firewalldPath+"/config", "config."+p.add, nil, p.name, p.settings)
	if !isConflict(err) || p.update == "" {
		if isConflict(err) { // there is such a set already, and a reload will make it known
			return nil
		}
		return err
	}
	var at dbus.ObjectPath
	if err := f.call(firewalldPath+"/config", "config."+p.find, &at, p.name); err != nil {
		return err
	}
	return f.call(at, "config."+p.kind+"."+p.update, nil, p.settings)
}

// isConflict reports whether firewalld says that something exists already, permanently.
func isConflict(err error) bool {
	var e dbus.Error
	return errors.As(err, &e) && len(e.Body) > 0 && len(fmt.Sprint(e.Body[0])) >= 13 && fmt.Sprint(e.Body[0])[:13] == "NAME_CONFLICT"
}

func (f firewalld) setPeers(family int, c Config) error {
	want := []string{}
	for _, addr := range c.Peers {
		if addr.IsValid() && addr.Is4() == (family == 4) {
			want = append(want, addr.String())
		}
	}
	slices.Sort(want)
	var have []string
	name := peerSet + strconv.Itoa(family)
	if err := f.call(firewalldPath, "ipset.getEntries", &have, name); err != nil {
		return err
	}
	if slices.Sort(have); slices.Equal(have, want) {
		return nil
	}
	return f.call(firewalldPath, "ipset.setEntries", nil, name, want)
}

// remove removes what ensure has made.
func (f firewalld) remove(c Config) error {
	removed := false
	all := parts(c)
	slices.Reverse(all) // policies name zones and sets
	var errs []error
	for _, p := range all {
		var at dbus.ObjectPath
		if f.call(firewalldPath+"/config", "config."+p.find, &at, p.name) != nil {
			continue // there is none
		}
		removed = true
		errs = append(errs, f.call(at, "config."+p.kind+".remove", nil))
	}
	if removed {
		errs = append(errs, f.call(firewalldPath, "reload", nil))
	}
	return errors.Join(errs...)
}

// part is something that firewalld keeps in its permanent configuration.
type part struct {
	kind, name   string
	add, find    string // methods of the interface config
	read, update string // methods that read what is in use, and replace what is permanent; "" where settings never change
	settings     any
}

type settings = map[string]dbus.Variant

// describes is the setting that has a digest of the others, because firewalld returns them in another form.
const describes = "description"

// described returns the settings with their digest.
func described(s settings) settings {
	sum := sha256.Sum256([]byte(fmt.Sprint(s))) // fmt sorts the keys
	s[describes] = dbus.MakeVariant(fmt.Sprintf("Made by Tombolo. Settings %x.", sum[:6]))
	return s
}

// ipset is firewalld's form of an IP set: version, name, description, type, options, entries.
type ipset struct {
	Version, Name, Description, Type string
	Options                          map[string]string
	Entries                          []string
}

type portText struct{ Port, Proto string }

// parts returns what has to be there, in an order in which each names only earlier ones.
func parts(c Config) []part {
	ports := []portText{{"53", "tcp"}, {"53", "udp"}}
	if c.DNSPort != 0 && c.DNSPort != 53 {
		number := strconv.Itoa(int(c.DNSPort))
		ports = append(ports, portText{number, "tcp"}, portText{number, "udp"})
	}
	zone := settings{
		"target": dbus.MakeVariant("default"), "interfaces": dbus.MakeVariant([]string{c.Veths + "+", c.Device}), "ports": dbus.MakeVariant(ports),
		"protocols": dbus.MakeVariant([]string{"icmp", "ipv6-icmp"}), "forward": dbus.MakeVariant(true),
	}
	pass := func(in, out, target string, rules ...string) settings {
		return described(settings{
			"target": dbus.MakeVariant(target), "ingress_zones": dbus.MakeVariant([]string{in}), "egress_zones": dbus.MakeVariant([]string{out}),
			"rich_rules": dbus.MakeVariant(append([]string{}, rules...)),
		})
	}
	policy := func(name string, s settings) part {
		return part{"policy", name, "addPolicy", "getPolicyByName", "policy.getPolicySettings", "update", s}
	}
	out := []part{
		{"zone", zoneName, "addZone2", "getZoneByName", "zone.getZoneSettings2", "update2", described(zone)},
		policy(policyIn, pass("ANY", zoneName, "ACCEPT")),
		policy(policyOut, pass(zoneName, "ANY", "ACCEPT")),
	}
	var rules []string
	for _, family := range []struct{ number, name, option string }{{"4", "ipv4", "inet"}, {"6", "ipv6", "inet6"}} {
		set := peerSet + family.number
		out = append(out, part{kind: "ipset", name: set, add: "addIPSet", find: "getIPSetByName", settings: ipset{
			Name: set, Type: "hash:ip", Options: map[string]string{"family": family.option}, Entries: []string{},
		}})
		for _, p := range append([]Port{{c.Tunnel, "udp"}}, c.Peering...) {
			rules = append(rules, fmt.Sprintf(`rule family="%s" source ipset="%s" port port="%d" protocol="%s" accept`, family.name, set, p.Number, p.Proto))
		}
	}
	return append(out, policy(policyPer, pass("ANY", "HOST", "CONTINUE", rules...)))
}

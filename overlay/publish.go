package overlay

import (
	"slices"
	"strings"
)

// buckets is the number of parts into which the connections to a shared port are divided.
// Each part has one target. 60 divides evenly among up to 6 targets; a port with more than
// 60 targets uses only the first 60.
const buckets = 60

// randomBucket is nft's expression that assigns a new connection to a bucket.
const randomBucket = "numgen random mod 60"

// publish adds the publications. A port with one target has one element, a port with several
// has an element for each bucket. So a change of targets changes elements and never rules.
func (c contents) publish(all []Publish) {
	ports := map[string]map[string][]string{} // end of the map's name, such as "any4" -> host port -> targets
	for _, p := range all {
		everywhere := !p.HostIP.IsValid() || p.HostIP.IsUnspecified()
		c.hold(p, everywhere)
		if !p.To.IsValid() || protoNumbers[p.Proto] == 0 || !everywhere && p.HostIP.Is4() != p.To.Is4() {
			continue
		}
		where, key := family("any", p.To), protoField(p.Proto)+portField(p.HostPort)
		if !everywhere {
			where, key = family("at", p.To), addrField(p.HostIP)+key
		}
		if ports[where] == nil {
			ports[where] = map[string][]string{}
		}
		ports[where][key] = append(ports[where][key], addrField(p.To)+portField(p.Port))
		c.add(family("published", p.To), addrField(p.To)+protoField(p.Proto)+portField(p.Port), "")
	}
	for where, keys := range ports {
		for key, targets := range keys {
			c.addTargets(where, key, slices.Compact(slices.Sorted(slices.Values(targets))))
		}
	}
}

// hold has the port's connections refused that no target takes.
func (c contents) hold(p Publish, everywhere bool) {
	switch key := protoField(p.Proto) + portField(p.HostPort); {
	case protoNumbers[p.Proto] == 0:
	case everywhere:
		c.add("held_any", key, "")
	default:
		c.add(family("held_at", p.HostIP), addrField(p.HostIP)+key, "")
	}
}

func (c contents) addTargets(where, key string, targets []string) {
	if len(targets) == 1 {
		c.add("publish_"+where, key, targets[0])
		return
	}
	for n := range buckets {
		c.add("share_"+where, key+bucketField(n), targets[n%len(targets)])
	}
}

// targetsByPort returns the set of targets of each host port. Its keys are the end of the
// map's name, such as "any4", followed by the host port's key.
func (c contents) targetsByPort() map[string]map[string]bool {
	out := map[string]map[string]bool{}
	for set, members := range c {
		kind, where, _ := strings.Cut(set, "_")
		if kind != "publish" && kind != "share" {
			continue
		}
		for key, target := range members {
			if kind == "share" {
				key = key[:len(key)-fieldSizes["bucket"]]
			}
			if out[where+key] == nil {
				out[where+key] = map[string]bool{}
			}
			out[where+key][target] = true
		}
	}
	return out
}

// hasFamily reports whether a key of targetsByPort is that of a port in the address family
// "4" or "6".
func hasFamily(port, family string) bool {
	return strings.HasPrefix(port, "any"+family) || strings.HasPrefix(port, "at"+family)
}

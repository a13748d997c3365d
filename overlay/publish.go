package overlay

import (
	"slices"
	"strings"
)

// buckets is how many parts a shared port's connections are divided into, each of
// which has one target. 60 divides evenly by any count of targets up to 6; beyond
// 60 targets the last ones get nothing.
const buckets = 60

// draw is nft's expression for one of the buckets, drawn for each new connection.
const draw = "numgen random mod 60"

// publish enters the publications. A port with one target has an element of its
// own, one with several has a bucket for every part of its connections: then the
// targets change by elements as well, and the rules stay as they are.
func (c contents) publish(all []Publish) {
	ports := map[string]map[string][]string{} // "any4" and the like -> host port -> targets
	for _, p := range all {
		everywhere := !p.HostIP.IsValid() || p.HostIP.IsUnspecified()
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
			c.lead(where, key, slices.Compact(slices.Sorted(slices.Values(targets))))
		}
	}
}

func (c contents) lead(where, key string, targets []string) {
	if len(targets) == 1 {
		c.add("publish_"+where, key, targets[0])
		return
	}
	for n := range buckets {
		c.add("share_"+where, key+bucketField(n), targets[n%len(targets)])
	}
}

// entries gives the targets of each host port: "any4" or the like and the port's
// key -> targets.
func (c contents) entries() map[string]map[string]bool {
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

// publishes reports whether any host port leads somewhere in the family "4" or "6".
func (c contents) publishes(family string) bool {
	return len(c["publish_any"+family])+len(c["publish_at"+family])+len(c["share_any"+family])+len(c["share_at"+family]) > 0
}

package overlay

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template"
)

//go:embed table.nft.tmpl
var tableText string

var tableTemplate = template.Must(template.New("table").Parse(tableText))

// setSpec declares one nft set or map of the table.
type setSpec struct {
	name string
	kind string // "set" or "map"
	typ  string
}

var setSpecs = []setSpec{
	{"bound4", "set", "ifname . ipv4_addr"}, // the addresses that each interface may send from
	{"bound6", "set", "ifname . ipv6_addr"},
	{"internal4", "set", "ipv4_addr"}, // containers without access to the outside, of all hosts
	{"internal6", "set", "ipv6_addr"},
	{"suspended4", "set", "ipv4_addr"}, // Config.Suspended
	{"suspended6", "set", "ipv6_addr"},
	{"superseded4", "set", "ipv4_addr"}, // Config.Superseded
	{"superseded6", "set", "ipv6_addr"},
	{"members4", "set", "ipv4_addr"}, // underlay addresses of the peers
	{"members6", "set", "ipv6_addr"},
	{"others4", "set", "ipv4_addr"}, // other addresses of the peers, see Peer.Addresses
	{"others6", "set", "ipv6_addr"},
	{"hosts4", "set", "ipv4_addr"}, // overlay addresses of the peers themselves
	{"hosts6", "set", "ipv6_addr"},
	{"class4", "map", "ipv4_addr : mark"}, // endpoint -> the number of its class, see Group
	{"class6", "map", "ipv6_addr : mark"},
	{"senders4", "set", "ipv4_addr . mark"}, // who may reach a class
	{"senders6", "set", "ipv6_addr . mark"},
	{"ports4", "set", "ipv4_addr . mark . inet_proto . inet_service"}, // who may reach ports of a class
	{"ports6", "set", "ipv6_addr . mark . inet_proto . inet_service"},
	{"revoked4", "set", "ipv4_addr . ipv4_addr"}, // pairs whose connections must end, see Revocation
	{"revoked6", "set", "ipv6_addr . ipv6_addr"},
	{"outside", "set", "ifname"},                                   // bridges that lead to the outside
	{"blocked", "set", "inet_proto . inet_service"},                // Config.Blocked
	{"peering", "set", "inet_proto . inet_service"},                // Config.Peering
	{"published4", "set", "ipv4_addr . inet_proto . inet_service"}, // targets of published ports
	{"published6", "set", "ipv6_addr . inet_proto . inet_service"},
	{"held_any", "set", "inet_proto . inet_service"}, // published ports, whether they have targets or not
	{"held_at4", "set", "ipv4_addr . inet_proto . inet_service"},
	{"held_at6", "set", "ipv6_addr . inet_proto . inet_service"},
	{"publish_any4", "map", "inet_proto . inet_service : ipv4_addr . inet_service"}, // published ports with one target
	{"publish_any6", "map", "inet_proto . inet_service : ipv6_addr . inet_service"},
	{"publish_at4", "map", "ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service"},
	{"publish_at6", "map", "ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service"},
	{"share_any4", "map", "inet_proto . inet_service . bucket : ipv4_addr . inet_service"}, // published ports with several targets
	{"share_any6", "map", "inet_proto . inet_service . bucket : ipv6_addr . inet_service"},
	{"share_at4", "map", "ipv4_addr . inet_proto . inet_service . bucket : ipv4_addr . inet_service"},
	{"share_at6", "map", "ipv6_addr . inet_proto . inet_service . bucket : ipv6_addr . inet_service"},
	{"service4", "map", "ipv4_addr : verdict"}, // service addresses with targets; see service.go
	{"service6", "map", "ipv6_addr : verdict"},
	{"target4", "map", "ipv4_addr . bucket : ipv4_addr"},
	{"target6", "map", "ipv6_addr . bucket : ipv6_addr"},
}

// expressions turns the types of a set's fields into expressions of these types. Sets with a
// bucket are declared by expressions, because nft has no name for a bucket's type.
var expressions = strings.NewReplacer("ipv4_addr", "ip daddr", "ipv6_addr", "ip6 daddr",
	"inet_proto", "meta l4proto", "inet_service", "th dport", "bucket", randomBucket)

// declaration returns the set's type as nft writes it.
func (s setSpec) declaration() string {
	if strings.Contains(s.typ, "bucket") {
		return "typeof " + expressions.Replace(s.typ)
	}
	return "type " + s.typ
}

// contents holds the elements of all sets and maps: name -> key -> value. The elements of a
// set have the value "".
type contents map[string]map[string]string

// add puts an element into a set. If the set has the key already, the old element stays
// and add returns false.
func (c contents) add(set, key, value string) bool {
	if c[set] == nil {
		c[set] = map[string]string{}
	}
	if _, ok := c[set][key]; ok {
		return false
	}
	c[set][key] = value
	return true
}

// update applies what difference returned.
func (c contents) update(remove, add contents) {
	for set, members := range remove {
		for key := range members {
			delete(c[set], key)
		}
	}
	for set, members := range add {
		for key, value := range members {
			c.add(set, key, value)
		}
	}
}

// ruleset is the state that the nft table should have.
type ruleset struct {
	params tableParams
	sets   contents
}

// tableParams are the values in the table's rules. A change of one replaces the table.
type tableParams struct {
	Device, Gateway4   string
	Underlay4          string // "" means an IPv6 underlay
	Underlay6          string
	Port, DNSPort      uint16 // DNSPort zero means 53, without a redirect
	Pool4, Pool6       string // Pool6 "" means no IPv6
	Block4, Block6     string
	Overlay4, Overlay6 string
	Service4, Service6 string // "" means no service addresses
}

type setText struct {
	Name, Kind, Declaration string
	Elements                []string
}

// text returns the nft script that replaces the whole table in one transaction.
func (r ruleset) text() string {
	data := struct {
		tableParams
		RandomBucket string
		PassMark     string
		FirewallMark string
		DecidedMarks string
		OtherMarks   string
		Among        []int
		Sets         []setText
	}{tableParams: r.params, RandomBucket: randomBucket, Among: amongChains(), PassMark: markText(passMark), FirewallMark: markText(firewallMark),
		DecidedMarks: markText(passMark | firewallMark), OtherMarks: markText(^uint32(passMark | firewallMark))}
	for _, s := range setSpecs {
		data.Sets = append(data.Sets, setText{s.name, s.kind, s.declaration(), s.texts(r.sets[s.name])})
	}
	var b strings.Builder
	if err := tableTemplate.Execute(&b, data); err != nil {
		panic(err) // a mistake in the template, which every test of compile would find
	}
	return b.String()
}

func markText(mark uint32) string { return fmt.Sprintf("%#x", mark) }

// texts returns a set's elements as nft writes them, sorted.
func (s setSpec) texts(elements map[string]string) []string {
	keyType, valueType, isMap := strings.Cut(s.typ, " : ")
	var out []string
	for _, key := range slices.Sorted(maps.Keys(elements)) {
		text := fieldsText(keyType, key)
		if isMap {
			text += " : " + fieldsText(valueType, elements[key])
		}
		out = append(out, text)
	}
	return out
}

// difference returns the elements to remove from have, and those to add after that, to
// get want.
func difference(have, want contents) (remove, add contents) {
	return have.without(want), want.without(have)
}

// without returns the elements of c that other lacks or has with another value.
func (c contents) without(other contents) contents {
	rest := contents{}
	for set, members := range c {
		against := other[set]
		for key, value := range members {
			if v, ok := against[key]; !ok || v != value {
				rest.add(set, key, value)
			}
		}
	}
	return rest
}

// size returns the number of elements in all sets.
func (c contents) size() int {
	n := 0
	for _, members := range c {
		n += len(members)
	}
	return n
}

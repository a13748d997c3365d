package overlay

import (
	_ "embed"
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
	{"bound4", "set", "ifname . ipv4_addr"}, // which interface may send from which address
	{"bound6", "set", "ifname . ipv6_addr"},
	{"internal4", "set", "ipv4_addr"}, // containers without egress
	{"internal6", "set", "ipv6_addr"},
	{"members4", "set", "ipv4_addr"}, // underlay addresses of the peers
	{"members6", "set", "ipv6_addr"},
	{"hosts4", "set", "ipv4_addr"}, // overlay addresses of the peers themselves
	{"hosts6", "set", "ipv6_addr"},
	{"pairs4", "set", "ipv4_addr . ipv4_addr"}, // Allow without ports
	{"pairs6", "set", "ipv6_addr . ipv6_addr"},
	{"ports4", "set", "ipv4_addr . ipv4_addr . inet_proto . inet_service"}, // Allow with ports
	{"ports6", "set", "ipv6_addr . ipv6_addr . inet_proto . inet_service"},
	{"outside", "set", "ifname"}, // bridges that lead to the outside
	{"blocked", "set", "inet_proto . inet_service"},
	{"published4", "set", "ipv4_addr . inet_proto . inet_service"}, // targets of published ports
	{"published6", "set", "ipv6_addr . inet_proto . inet_service"},
	{"publish_any4", "map", "inet_proto . inet_service : ipv4_addr . inet_service"},
	{"publish_any6", "map", "inet_proto . inet_service : ipv6_addr . inet_service"},
	{"publish_at4", "map", "ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service"},
	{"publish_at6", "map", "ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service"},
	{"share_any4", "map", "inet_proto . inet_service . bucket : ipv4_addr . inet_service"}, // published ports with several targets
	{"share_any6", "map", "inet_proto . inet_service . bucket : ipv6_addr . inet_service"},
	{"share_at4", "map", "ipv4_addr . inet_proto . inet_service . bucket : ipv4_addr . inet_service"},
	{"share_at6", "map", "ipv6_addr . inet_proto . inet_service . bucket : ipv6_addr . inet_service"},
}

// typeOf are the expressions of a set's fields, where one of them has no type of
// its own.
var typeOf = strings.NewReplacer("ipv4_addr", "ip daddr", "ipv6_addr", "ip6 daddr",
	"inet_proto", "meta l4proto", "inet_service", "th dport", "bucket", draw)

// declaration is the set's type as nft writes it.
func (s setSpec) declaration() string {
	if strings.Contains(s.typ, "bucket") {
		return "typeof " + typeOf.Replace(s.typ)
	}
	return "type " + s.typ
}

// contents holds the elements of every set: set -> key -> value, which only a
// map's elements have.
type contents map[string]map[string]string

// add puts an element into a set and reports true, unless its key is there: the
// first one stays.
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

// ruleset is the wanted state of the nft table.
type ruleset struct {
	facts tableFacts
	sets  contents
}

// tableFacts is what the table's text takes from a Config besides the sets.
type tableFacts struct {
	Device, Gateway4   string
	Port, DNSPort      uint16 // DNSPort 0: 53, no redirect
	Pool4, Pool6       string // Pool6 "" without IPv6
	Block4, Block6     string
	Overlay4, Overlay6 string
}

type setText struct {
	Name, Kind, Declaration string
	Elements                []string
}

// text is the nft script that replaces the whole table, at once.
func (r ruleset) text() string {
	data := struct {
		tableFacts
		Draw string
		Sets []setText
	}{tableFacts: r.facts, Draw: draw}
	for _, s := range setSpecs {
		data.Sets = append(data.Sets, setText{s.name, s.kind, s.declaration(), s.texts(r.sets[s.name])})
	}
	var b strings.Builder
	if err := tableTemplate.Execute(&b, data); err != nil {
		panic(err) // the template and its data are ours
	}
	return b.String()
}

// texts are a set's elements as nft writes them.
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

// difference is what to delete from have and then to add to make it want.
func difference(have, want contents) (gone, come contents) {
	return have.without(want), want.without(have)
}

// without is what of c is not in other, or with another value.
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

// size counts elements.
func (c contents) size() int {
	n := 0
	for _, members := range c {
		n += len(members)
	}
	return n
}

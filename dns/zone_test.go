package dns

import (
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"tombolo/dns/dnstest"
	"tombolo/linker/record"
)

const soaText = " 1 IN SOA tombolo.internal. hostmaster.tombolo.internal. 7 60 60 60 1"

var (
	zoneSOA  = []string{"tombolo.internal." + soaText}
	rootSOA  = []string{"." + soaText}
	testZone = Zone{
		Name:  "tombolo.internal",
		Pools: []netip.Prefix{netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("fd00:1:2::/48")},
	}
)

func target(name, a4, a6 string) record.Target {
	t := record.Target{Name: name}
	if a4 != "" {
		t.Addr4 = netip.MustParseAddr(a4)
	}
	if a6 != "" {
		t.Addr6 = netip.MustParseAddr(a6)
	}
	return t
}

// testView returns the view of a web container of the app shop: two instances of db, a cache
// without a healthy instance, and an alias with a dot.
func testView() *record.View {
	db := record.Answers{
		Targets: []record.Target{target("1.db.shop", "100.64.1.2", "fd00:1:2::12"), target("2.db.shop", "100.64.2.2", "fd00:1:2::22")},
		Ports:   []record.Port{{Name: "pg", Number: 5432, Proto: "tcp"}, {Number: 53, Proto: "udp"}},
	}
	return &record.View{
		Index: 7,
		Names: map[string]record.Answers{
			"db": short(db), "db.shop": db, "tasks.db.shop": db,
			"2.db.shop":      {Targets: db.Targets[1:], Ports: db.Ports},
			"cache":          short(record.Answers{Ports: []record.Port{{Number: 6379, Proto: "tcp"}}}),
			"four":           short(record.Answers{Targets: []record.Target{target("1.four.shop", "100.64.1.4", "")}}),
			"db.example.com": short(record.Answers{Targets: db.Targets[:1]}),
			"h1.host":        {Targets: []record.Target{target("h1.host", "198.18.0.11", "")}},
			"api": {Short: true, Targets: []record.Target{target("1.api.shop", "100.64.1.5", "")}, Ports: []record.Port{{Number: 80, Proto: "tcp"}},
				Services: []record.Target{target("api.shop", "100.127.0.9", "fd00:1:2:ffff::9")}},
		},
		Instances: dnstest.Instances{
			Found:  map[string]record.Answers{"tasks.db": short(db), "2.db": short(record.Answers{Targets: db.Targets[1:], Ports: db.Ports}), "3.db": short(record.Answers{}), "db-1": short(record.Answers{Targets: db.Targets[:1]})},
			Hidden: []string{"tasks.secret", "7.db"},
		},
		PTR: map[netip.Addr]string{
			netip.MustParseAddr("100.64.1.2"):   "1.db.shop",
			netip.MustParseAddr("fd00:1:2::12"): "1.db.shop",
			netip.MustParseAddr("100.64.2.2"):   "2.db.shop",
			netip.MustParseAddr("fd00:1:2::22"): "2.db.shop",
		},
	}
}

func short(a record.Answers) record.Answers {
	a.Short = true
	return a
}

const reverse6 = "2.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa."

var answerCases = []dnstest.Case{
	{Ask: "db", Type: dns.TypeA, Answer: []string{"db. 1 IN A 100.64.1.2", "db. 1 IN A 100.64.2.2"}},
	{Ask: "db", Type: dns.TypeAAAA, Answer: []string{"db. 1 IN AAAA fd00:1:2::12", "db. 1 IN AAAA fd00:1:2::22"}},
	{Ask: "dB.ShOp.Tombolo.INTERNAL", Type: dns.TypeA, Answer: []string{
		"dB.ShOp.Tombolo.INTERNAL. 1 IN A 100.64.1.2", "dB.ShOp.Tombolo.INTERNAL. 1 IN A 100.64.2.2"}},
	{Ask: "db.tombolo.internal", Type: dns.TypeA, Answer: []string{
		"db.tombolo.internal. 1 IN A 100.64.1.2", "db.tombolo.internal. 1 IN A 100.64.2.2"}},
	{Ask: "2.db.shop.tombolo.internal", Type: dns.TypeA, Answer: []string{"2.db.shop.tombolo.internal. 1 IN A 100.64.2.2"}},
	{Ask: "h1.host.tombolo.internal", Type: dns.TypeA, Answer: []string{"h1.host.tombolo.internal. 1 IN A 198.18.0.11"}},
	{Ask: "db.example.com", Type: dns.TypeA, Answer: []string{"db.example.com. 1 IN A 100.64.1.2"}},

	{Name: "a name without AAAA is no data", Ask: "four", Type: dns.TypeAAAA, Ns: []string{"four." + soaText}},
	{Name: "no healthy instance is no data", Ask: "cache.tombolo.internal", Type: dns.TypeA, Ns: zoneSOA},
	{Name: "another type is no data", Ask: "db.shop.tombolo.internal", Type: dns.TypeMX, Ns: zoneSOA},
	{Name: "a name with names below it is no data", Ask: "shop.tombolo.internal", Type: dns.TypeA, Ns: zoneSOA},
	{Name: "a suffix of a label is not a name", Ask: "hop.tombolo.internal", Type: dns.TypeA, Rcode: dns.RcodeNameError, Ns: zoneSOA},
	{Name: "a name outside of the view", Ask: "db.other.tombolo.internal", Type: dns.TypeA, Rcode: dns.RcodeNameError, Ns: zoneSOA},
	{Name: "the zone as search domain after a full name", Ask: "db.shop.tombolo.internal.tombolo.internal", Type: dns.TypeA,
		Rcode: dns.RcodeNameError, Ns: zoneSOA},
	{Name: "a single label is not forwarded", Ask: "secret", Type: dns.TypeA, Rcode: dns.RcodeNameError, Ns: rootSOA},
	{Name: "a single label of any type is not forwarded", Ask: "com", Type: dns.TypeNS, Rcode: dns.RcodeNameError, Ns: rootSOA},
	{Name: "an escaped dot makes another name", Ask: `db\.shop.tombolo.internal`, Type: dns.TypeA, Rcode: dns.RcodeNameError, Ns: zoneSOA},

	{Ask: "tasks.db", Type: dns.TypeA, Answer: []string{"tasks.db. 1 IN A 100.64.1.2", "tasks.db. 1 IN A 100.64.2.2"}},
	{Ask: "tasks.db", Type: dns.TypeAAAA, Answer: []string{"tasks.db. 1 IN AAAA fd00:1:2::12", "tasks.db. 1 IN AAAA fd00:1:2::22"}},
	{Name: "the letters of a name of instances", Ask: "Tasks.DB", Type: dns.TypeA, Answer: []string{"Tasks.DB. 1 IN A 100.64.1.2", "Tasks.DB. 1 IN A 100.64.2.2"}},
	{Name: "a name of instances below the zone", Ask: "tasks.db.tombolo.internal", Type: dns.TypeAAAA, Answer: []string{"tasks.db.tombolo.internal. 1 IN AAAA fd00:1:2::12", "tasks.db.tombolo.internal. 1 IN AAAA fd00:1:2::22"}},
	{Ask: "2.db", Type: dns.TypeA, Answer: []string{"2.db. 1 IN A 100.64.2.2"}},
	{Ask: "DB-1", Type: dns.TypeA, Answer: []string{"DB-1. 1 IN A 100.64.1.2"}},
	{Name: "a name of instances, another type", Ask: "tasks.db", Type: dns.TypeMX, Ns: []string{"tasks.db." + soaText}},
	{Name: "an instance without an address", Ask: "3.db", Type: dns.TypeA, Ns: []string{"3.db." + soaText}},
	{Name: "an instance without an IPv6 address", Ask: "four", Type: dns.TypeAAAA, Ns: []string{"four." + soaText}},
	{Name: "instances outside of the view are not forwarded", Ask: "tasks.secret", Type: dns.TypeA, Rcode: dns.RcodeNameError, Ns: rootSOA},
	{Name: "instances outside of the view, any type and spelling", Ask: "TASKS.Secret", Type: dns.TypeHTTPS, Rcode: dns.RcodeNameError, Ns: rootSOA},
	{Name: "an instance that does not exist is not forwarded", Ask: "7.db", Type: dns.TypeAAAA, Rcode: dns.RcodeNameError, Ns: rootSOA},
	{Name: "instances of the Internet", Ask: "tasks.example", Type: dns.TypeA, Forward: true},
	{Name: "the zone as search domain after an instance", Ask: "7.db.tombolo.internal", Type: dns.TypeA, Rcode: dns.RcodeNameError, Ns: zoneSOA},
	{Name: "another search domain after an instance", Ask: "2.db.corp.example", Type: dns.TypeA, Forward: true},
	{Name: "SRV of instances", Ask: "_5432._tcp.2.db", Type: dns.TypeSRV,
		Answer: []string{"_5432._tcp.2.db. 1 IN SRV 0 1 5432 2.db.shop.tombolo.internal."},
		Extra:  []string{"2.db.shop.tombolo.internal. 1 IN A 100.64.2.2", "2.db.shop.tombolo.internal. 1 IN AAAA fd00:1:2::22"}},
	{Name: "SRV of instances outside of the view", Ask: "_5432._tcp.tasks.secret", Type: dns.TypeSRV, Rcode: dns.RcodeNameError, Ns: rootSOA},
	{Name: "the protocol of an SRV name of ours", Ask: "_tcp.db", Type: dns.TypeA, Ns: rootSOA},
	{Name: "the protocol of an SRV name of nobody", Ask: "_tcp.secret", Type: dns.TypeA, Rcode: dns.RcodeNameError, Ns: rootSOA},
	{Name: "an SRV name of ours with too many labels", Ask: "_a._b._tcp.db", Type: dns.TypeSRV, Rcode: dns.RcodeNameError, Ns: rootSOA},
	{Name: "SRV labels alone", Ask: "_a._b", Type: dns.TypeSRV, Rcode: dns.RcodeNameError, Ns: rootSOA},

	{Name: "a service with an address of its own", Ask: "api", Type: dns.TypeA, Answer: []string{"api. 1 IN A 100.127.0.9"}},
	{Name: "a service with an address of its own, IPv6", Ask: "api", Type: dns.TypeAAAA, Answer: []string{"api. 1 IN AAAA fd00:1:2:ffff::9"}},
	{Name: "SRV of a service with an address of its own", Ask: "_80._tcp.api", Type: dns.TypeSRV,
		Answer: []string{"_80._tcp.api. 1 IN SRV 0 1 80 1.api.shop.tombolo.internal."},
		Extra:  []string{"1.api.shop.tombolo.internal. 1 IN A 100.64.1.5"}},

	{Name: "the zone itself", Ask: "tombolo.internal", Type: dns.TypeSOA, Answer: zoneSOA},
	{Name: "the zone itself, no data", Ask: "tombolo.internal", Type: dns.TypeA, Ns: zoneSOA},
	{Name: "a name that only ends like the zone", Ask: "xtombolo.internal", Type: dns.TypeA, Forward: true},
	{Ask: "example.com", Type: dns.TypeA, Forward: true},
	{Name: "an alias with a dot, no data", Ask: "db.example.com", Type: dns.TypeTXT, Ns: []string{"db.example.com." + soaText}},
	{Name: "a service of the zone without the suffix", Ask: "db.shop", Type: dns.TypeA, Forward: true},
	{Name: "an instance without the suffix", Ask: "2.db.shop", Type: dns.TypeA, Forward: true},
	{Name: "a host without the suffix", Ask: "h1.host", Type: dns.TypeA, Forward: true},
	{Name: "SRV of the zone without the suffix", Ask: "_5432._tcp.db.shop", Type: dns.TypeSRV, Forward: true},
	{Ask: "stranger.shop", Type: dns.TypeA, Forward: true},
	{Ask: ".", Type: dns.TypeNS, Forward: true},
	{Ask: "localhost", Type: dns.TypeA, Answer: []string{"localhost. 1 IN A 127.0.0.1"}},
	{Ask: "a.localhost", Type: dns.TypeAAAA, Answer: []string{"a.localhost. 1 IN AAAA ::1"}},

	{Ask: "_5432._tcp.db.shop.tombolo.internal", Type: dns.TypeSRV,
		Answer: []string{
			"_5432._tcp.db.shop.tombolo.internal. 1 IN SRV 0 1 5432 1.db.shop.tombolo.internal.",
			"_5432._tcp.db.shop.tombolo.internal. 1 IN SRV 0 1 5432 2.db.shop.tombolo.internal."},
		Extra: []string{
			"1.db.shop.tombolo.internal. 1 IN A 100.64.1.2", "1.db.shop.tombolo.internal. 1 IN AAAA fd00:1:2::12",
			"2.db.shop.tombolo.internal. 1 IN A 100.64.2.2", "2.db.shop.tombolo.internal. 1 IN AAAA fd00:1:2::22"}},
	{Ask: "_PG._tcp.2.db.shop.tombolo.internal", Type: dns.TypeSRV,
		Answer: []string{"_PG._tcp.2.db.shop.tombolo.internal. 1 IN SRV 0 1 5432 2.db.shop.tombolo.internal."},
		Extra:  []string{"2.db.shop.tombolo.internal. 1 IN A 100.64.2.2", "2.db.shop.tombolo.internal. 1 IN AAAA fd00:1:2::22"}},
	{Name: "SRV without a healthy instance", Ask: "_6379._tcp.cache", Type: dns.TypeSRV, Ns: rootSOA},
	{Name: "an SRV name, another type", Ask: "_53._udp.db.shop.tombolo.internal", Type: dns.TypeA, Ns: zoneSOA},
	{Name: "SRV of another port", Ask: "_80._tcp.db.shop.tombolo.internal", Type: dns.TypeSRV, Rcode: dns.RcodeNameError, Ns: zoneSOA},
	{Name: "SRV of another protocol", Ask: "_5432._udp.db", Type: dns.TypeSRV, Rcode: dns.RcodeNameError, Ns: rootSOA},
	{Name: "SRV of a name outside of the view", Ask: "_5432._tcp.db.other.tombolo.internal", Type: dns.TypeSRV, Rcode: dns.RcodeNameError, Ns: zoneSOA},
	{Name: "an SRV name with the protocol alone", Ask: "_tcp.db.shop.tombolo.internal", Type: dns.TypeSRV, Ns: zoneSOA},
	{Name: "an SRV name with an empty label", Ask: "_.x.tombolo.internal", Type: dns.TypeSRV, Rcode: dns.RcodeNameError, Ns: zoneSOA},
	{Name: "SRV of an unknown single label", Ask: "_x._tcp.secret", Type: dns.TypeSRV, Rcode: dns.RcodeNameError, Ns: rootSOA},
	{Name: "SRV of the Internet", Ask: "_ldap._tcp.corp.example", Type: dns.TypeSRV, Forward: true},

	{Ask: "2.1.64.100.in-addr.arpa", Type: dns.TypePTR, Answer: []string{"2.1.64.100.in-addr.arpa. 1 IN PTR 1.db.shop.tombolo.internal."}},
	{Ask: reverse6, Type: dns.TypePTR, Answer: []string{reverse6 + " 1 IN PTR 1.db.shop.tombolo.internal."}},
	{Name: "PTR of an address outside of the view", Ask: "3.1.64.100.in-addr.arpa", Type: dns.TypePTR, Rcode: dns.RcodeNameError, Ns: []string{"64.100.in-addr.arpa." + soaText}},
	{Name: "a PTR name, another type", Ask: "2.1.64.100.in-addr.arpa", Type: dns.TypeA, Ns: []string{"64.100.in-addr.arpa." + soaText}},
	{Name: "PTR of a network with a visible address", Ask: "64.100.in-addr.arpa", Type: dns.TypePTR, Ns: []string{"64.100.in-addr.arpa." + soaText}},
	{Name: "PTR of a network without visible addresses", Ask: "127.100.in-addr.arpa", Type: dns.TypePTR, Rcode: dns.RcodeNameError, Ns: []string{"127.100.in-addr.arpa." + soaText}},
	{Name: "PTR with garbage below the pool", Ask: "x.1.64.100.in-addr.arpa", Type: dns.TypePTR, Rcode: dns.RcodeNameError, Ns: []string{"64.100.in-addr.arpa." + soaText}},
	{Name: "PTR with too many labels", Ask: "1.2.1.64.100.in-addr.arpa", Type: dns.TypePTR, Rcode: dns.RcodeNameError, Ns: []string{"64.100.in-addr.arpa." + soaText}},
	{Name: "PTR outside of the pool", Ask: "1.1.128.100.in-addr.arpa", Type: dns.TypePTR, Forward: true},
	{Name: "PTR of a network larger than the pool", Ask: "100.in-addr.arpa", Type: dns.TypePTR, Forward: true},

	{Name: "class CH", Ask: "version.bind", Type: dns.TypeTXT, Class: dns.ClassCHAOS, Rcode: dns.RcodeRefused},
	{Name: "zone transfer", Ask: "tombolo.internal", Type: dns.TypeAXFR, Rcode: dns.RcodeRefused},
	{Name: "ANY", Ask: "db", Type: dns.TypeANY, Rcode: dns.RcodeNotImplemented},
	{Name: "ANY of the Internet", Ask: "example.com", Type: dns.TypeANY, Rcode: dns.RcodeNotImplemented},
}

func TestAnswer(t *testing.T) {
	view := testView()
	for _, c := range answerCases {
		t.Run(c.Title(), func(t *testing.T) {
			q := c.Query()
			c.Check(t, q, testZone.Answer(view, q))
		})
	}
}

func TestUnsupportedQueriesAreErrors(t *testing.T) {
	query := func(change func(*dns.Msg)) *dns.Msg {
		q := dnstest.Case{Ask: "db", Type: dns.TypeA}.Query()
		change(q)
		return q
	}
	cases := []struct {
		name  string
		q     *dns.Msg
		rcode int
	}{
		{"no question", query(func(q *dns.Msg) { q.Question = nil }), dns.RcodeFormatError},
		{"two questions", query(func(q *dns.Msg) { q.Question = append(q.Question, q.Question...) }), dns.RcodeFormatError},
		{"notify", query(func(q *dns.Msg) { q.Opcode = dns.OpcodeNotify }), dns.RcodeNotImplemented},
		{"update", query(func(q *dns.Msg) { q.Opcode = dns.OpcodeUpdate }), dns.RcodeNotImplemented},
		{"unknown EDNS version", query(func(q *dns.Msg) { q.SetEdns0(4096, false); q.IsEdns0().SetVersion(1) }), dns.RcodeBadVers},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := testZone.Answer(testView(), c.q); got == nil || got.Rcode != c.rcode {
				t.Errorf("got the reply %v, want %s", got, dns.RcodeToString[c.rcode])
			}
		})
	}
}

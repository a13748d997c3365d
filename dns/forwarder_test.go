package dns

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/miekg/dns"

	"tombolo/dns/dnstest"
)

var someServer = []netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:53")}

func forwarder(up *dnstest.Upstream) *Forwarder {
	return NewForwarder(ForwarderConfig{Servers: someServer, Exchanger: up})
}

// lookup asks the cache first and then upstream, as the server does.
func lookup(t *testing.T, f *Forwarder, q *dns.Msg) *dns.Msg {
	if m := f.Cached(q); m != nil {
		return m
	}
	return f.Forward(t.Context(), q)
}

func TestForwarderKeepsRepliesForTheirLifetime(t *testing.T) {
	soa := "example. 300 IN SOA ns.example. root.example. 1 2 3 4 60"
	negative := func(rcode int, ns ...string) func(*dns.Msg) *dns.Msg {
		return func(q *dns.Msg) *dns.Msg {
			m := new(dns.Msg).SetRcode(q, rcode)
			for _, text := range ns {
				rr, _ := dns.NewRR(text)
				m.Ns = append(m.Ns, rr)
			}
			return m
		}
	}
	a := dnstest.Records("a.example. 300 IN A 192.0.2.1", "a.example. 20 IN A 192.0.2.2")
	cases := []struct {
		name  string
		reply func(*dns.Msg) *dns.Msg
		after time.Duration
		asked int // queries to upstream in total, when the same question comes again after that time
	}{
		{"before the smallest TTL ends", a, 19 * time.Second, 1},
		{"after the smallest TTL ends", a, 20 * time.Second, 2},
		{"a TTL of 0 is not kept", dnstest.Records("a.example. 0 IN A 192.0.2.1"), 0, 2},
		{"a TTL of a week is kept for an hour", dnstest.Records("a.example. 604800 IN A 192.0.2.1"), time.Hour, 2},
		{"NXDOMAIN is kept as long as the SOA says", negative(dns.RcodeNameError, soa), 59 * time.Second, 1},
		{"NXDOMAIN after that", negative(dns.RcodeNameError, soa), 60 * time.Second, 2},
		{"NODATA is kept as long as the SOA says", negative(dns.RcodeSuccess, soa), 59 * time.Second, 1},
		{"a negative reply without SOA is not kept", negative(dns.RcodeNameError), 0, 2},
		{"a failure is kept for a second", negative(dns.RcodeServerFailure), 0, 2}, // both rounds of the first look-up
		{"a failure after a second", negative(dns.RcodeServerFailure), time.Second, 4},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				up := &dnstest.Upstream{Reply: c.reply}
				f := forwarder(up)
				q := dnstest.Case{Ask: "A.example", Type: dns.TypeA}.Query()
				first := lookup(t, f, q)
				time.Sleep(c.after)
				second := lookup(t, f, q)
				if first.Rcode != second.Rcode || len(first.Answer) != len(second.Answer) || second.Id != q.Id || second.Question[0].Name != "A.example." {
					t.Errorf("the second reply differs from the first in more than its ID and order.\nfirst:\n%v\nsecond:\n%v", first, second)
				}
				if got := len(up.Asked()); got != c.asked {
					t.Errorf("upstream was asked %d times, want %d", got, c.asked)
				}
			})
		})
	}
}

func TestForwarderReducesTheTTLOfCachedReplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := forwarder(&dnstest.Upstream{Reply: dnstest.Records("a.example. 30 IN A 192.0.2.1")})
		q := dnstest.Case{Ask: "a.example", Type: dns.TypeA}.Query()
		lookup(t, f, q)
		time.Sleep(12500 * time.Millisecond)
		c := dnstest.Case{Answer: []string{"a.example. 18 IN A 192.0.2.1"}}
		c.Check(t, q, lookup(t, f, q))
	})
}

// Upstream may answer differently for another type and for other DNSSEC bits.
func TestForwarderAsksForEachKindOfQuery(t *testing.T) {
	up := &dnstest.Upstream{Reply: dnstest.Records("a.example. 30 IN A 192.0.2.1", "a.example. 30 IN AAAA 2001:db8::1")}
	f := forwarder(up)
	for range 2 {
		for _, change := range []func(*dns.Msg){
			func(*dns.Msg) {}, func(q *dns.Msg) { q.SetEdns0(1232, true) }, func(q *dns.Msg) { q.CheckingDisabled = true },
			func(q *dns.Msg) { q.Question[0].Qtype = dns.TypeAAAA },
		} {
			q := dnstest.Case{Ask: "a.example", Type: dns.TypeA}.Query()
			change(q)
			if m := lookup(t, f, q); len(m.Answer) != 1 || m.CheckingDisabled != q.CheckingDisabled {
				t.Errorf("got the reply\n%v\nwant one answer, and the CD bit of the query (%t)", m, q.CheckingDisabled)
			}
		}
	}
	if got := len(up.Asked()); got != 4 {
		t.Errorf("upstream was asked %d times, want 4: once for each kind of query", got)
	}
}

func TestForwarderAsksOnceForTheSameQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		up := &dnstest.Upstream{Reply: func(q *dns.Msg) *dns.Msg {
			<-hold
			return new(dns.Msg).SetReply(q)
		}}
		f := forwarder(up)
		var askers sync.WaitGroup
		for range 10 {
			askers.Go(func() { f.Forward(t.Context(), dnstest.Case{Ask: "a.example", Type: dns.TypeA}.Query()) })
		}
		synctest.Wait()
		close(hold)
		askers.Wait()
		if got := len(up.Asked()); got != 1 {
			t.Errorf("upstream was asked %d times, want once for all askers", got)
		}
	})
}

// If a name server is silent, wrong or refuses, the next one is asked, and from then on first.
func TestForwarderAsksTheNextServer(t *testing.T) {
	good := dnstest.Records("a.example. 30 IN A 192.0.2.1", "b.example. 30 IN A 192.0.2.1")
	bad := map[string]func(q *dns.Msg) *dns.Msg{
		"does not answer": func(*dns.Msg) *dns.Msg { return nil },
		"refuses":         func(q *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcode(q, dns.RcodeRefused) },
		"answers with another ID": func(q *dns.Msg) *dns.Msg {
			m := good(q)
			m.Id++
			return m
		},
		"answers another question": func(q *dns.Msg) *dns.Msg {
			m := good(q)
			m.Question[0].Name = "evil.example."
			return m
		},
		"sends the query back": func(q *dns.Msg) *dns.Msg { return q.Copy() },
	}
	for name, reply := range bad {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				servers := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:53"), netip.MustParseAddrPort("192.0.2.2:53")}
				pair := &twoServers{servers: servers, ups: []*dnstest.Upstream{{Reply: reply}, {Reply: good}}}
				f := NewForwarder(ForwarderConfig{Servers: servers, Exchanger: pair})
				for _, ask := range []string{"a.example", "b.example"} {
					if m := lookup(t, f, dnstest.Case{Ask: ask, Type: dns.TypeA}.Query()); len(m.Answer) != 1 {
						t.Errorf("look-up of %s, want one answer:\n%v", ask, m)
					}
				}
				if got := len(pair.ups[0].Asked()); got != 1 {
					t.Errorf("the bad server was asked %d times, want once", got)
				}
			})
		})
	}
}

type twoServers struct {
	servers []netip.AddrPort
	ups     []*dnstest.Upstream
}

func (s *twoServers) Exchange(ctx context.Context, q *dns.Msg, server netip.AddrPort) (*dns.Msg, error) {
	for i, addr := range s.servers {
		if addr == server {
			return s.ups[i].Exchange(ctx, q, server)
		}
	}
	return nil, fmt.Errorf("no server %s", server)
}

// The C library asks again after 5 s.
func TestForwarderGivesUpInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := forwarder(&dnstest.Upstream{Reply: func(*dns.Msg) *dns.Msg { return nil }})
		began := time.Now()
		m := f.Forward(t.Context(), dnstest.Case{Ask: "a.example", Type: dns.TypeA}.Query())
		if took := time.Since(began); m.Rcode != dns.RcodeServerFailure || took > 4900*time.Millisecond {
			t.Errorf("got %s after %s, want SERVFAIL before 5s", dns.RcodeToString[m.Rcode], took)
		}
	})
}

func TestForwarderFailsWithoutNameServers(t *testing.T) {
	f := NewForwarder(ForwarderConfig{ResolvConf: filepath.Join(t.TempDir(), "none")})
	if m := f.Forward(t.Context(), dnstest.Case{Ask: "a.example", Type: dns.TypeA}.Query()); m.Rcode != dns.RcodeServerFailure {
		t.Errorf("got\n%v\nwant SERVFAIL", m)
	}
}

// The name server is a real one on 127.0.0.1.
func TestForwarderAsksOverTCPForALongAnswer(t *testing.T) {
	s := start(t, dnstest.Views{localhost: manyView(200)}, &dnstest.Upstream{})
	f := NewForwarder(ForwarderConfig{Servers: []netip.AddrPort{s.cfg.Sockets[0].Addr()}})
	m := f.Forward(t.Context(), dnstest.Case{Ask: "many.tombolo.internal", Type: dns.TypeA}.Query())
	if len(m.Answer) != 200 || m.Truncated {
		t.Errorf("got %d answers (truncated: %t, %s), want 200", len(m.Answer), m.Truncated, dns.RcodeToString[m.Rcode])
	}
}

func TestCacheStaysWithinItsBound(t *testing.T) {
	c := newCache(10_000)
	now := time.Now()
	for i := range 1000 {
		name := fmt.Sprintf("%d.example.", i)
		m := dnstest.Records(name + " 300 IN A 192.0.2.1")(dnstest.Case{Ask: name, Type: dns.TypeA}.Query())
		c.put(keyOf(m), m, now)
		c.get(cacheKey{name: "0.example.", qtype: dns.TypeA}, now) // keeps the entry recently used
	}
	if c.bytes > 10_000 || len(c.entries) != c.recent.Len() || len(c.entries) < 10 {
		t.Errorf("the cache has %d bytes in %d entries and %d list elements, want at most 10000 bytes, at least 10 entries, and as many elements", c.bytes, len(c.entries), c.recent.Len())
	}
	if c.get(cacheKey{name: "0.example.", qtype: dns.TypeA}, now) == nil {
		t.Error("the cache dropped the entry that was used most recently")
	}
}

func TestParseResolvConf(t *testing.T) {
	own := []netip.Addr{netip.MustParseAddr("169.254.1.1")}
	got := parseResolvConf([]byte(`# comment
nameserver 192.0.2.1
nameserver	2001:db8::1
 nameserver fe80::1%eth0
;nameserver 192.0.2.9
nameserver 169.254.1.1
nameserver ::ffff:169.254.1.1
nameserver nonsense
nameserver
search example
options ndots:5
nameserver 127.0.0.53 trailing
`), own)
	want := []netip.AddrPort{
		netip.MustParseAddrPort("192.0.2.1:53"), netip.MustParseAddrPort("[2001:db8::1]:53"),
		netip.MustParseAddrPort("[fe80::1%eth0]:53"), netip.MustParseAddrPort("127.0.0.53:53"),
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
		t.Errorf("name servers (-want +got):\n%s", diff)
	}
}

func TestResolvConfFollowsChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	write := func(addr string) {
		t.Helper()
		next := path + ".new"
		if err := os.WriteFile(next, []byte("nameserver "+addr+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, path); err != nil {
			t.Fatal(err)
		}
	}
	r := &resolvConf{path: path}
	now := time.Now()
	at := func(after time.Duration) string {
		servers, err := r.at(now.Add(after))
		if len(servers) == 0 {
			return fmt.Sprint(err != nil)
		}
		return servers[0].Addr().String()
	}
	steps := []struct {
		write string
		after time.Duration
		want  string
	}{
		{"", 0, "true"}, // no file: an error, and the next call looks again at once
		{"192.0.2.1", 0, "192.0.2.1"},
		{"192.0.2.2", resolvCheck / 2, "192.0.2.1"},
		{"", resolvCheck, "192.0.2.2"},
		{"192.0.2.3", 2 * resolvCheck, "192.0.2.3"},
	}
	for i, s := range steps {
		if s.write != "" {
			write(s.write)
		}
		if got := at(s.after); got != s.want {
			t.Errorf("step %d: the first name server is %s, want %s", i, got, s.want)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got := at(4 * resolvCheck); got != "192.0.2.3" {
		t.Errorf("after the file was removed, the first name server is %s, want the last known, 192.0.2.3", got)
	}
}

func FuzzParseResolvConf(f *testing.F) {
	f.Add([]byte("nameserver 192.0.2.1\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		if got := parseResolvConf(content, nil); len(got) > maxServers {
			t.Errorf("got %d name servers, want at most %d", len(got), maxServers)
		}
	})
}

// systemd-resolved's stub asks other servers. An address of theirs can be one of the pool, too.
func TestResolversIncludeThoseBehindTheStub(t *testing.T) {
	own := netip.MustParseAddr("169.254.1.1")
	behind := []byte("nameserver 100.100.2.136\n")
	for content, want := range map[string]string{
		"nameserver 127.0.0.53\n":                         "[127.0.0.53 100.100.2.136]",
		"nameserver 192.0.2.53\n":                         "[192.0.2.53]",
		"nameserver 169.254.1.1\nnameserver 192.0.2.54\n": "[192.0.2.54]",
	} {
		if got := fmt.Sprint(resolvers([]byte(content), behind, []netip.Addr{own})); got != want {
			t.Errorf("with %q the name servers are %s, want %s", content, got, want)
		}
	}
}

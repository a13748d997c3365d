package dns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/singleflight"
)

const (
	// The C library asks again after 5 s. Both time-outs are below that, so that the asker gets
	// SERVFAIL rather than no reply.
	tryTimeout     = 1500 * time.Millisecond
	forwardTimeout = 4500 * time.Millisecond
	forwardRounds  = 2
)

// Exchanger asks a name server a question. Network is the one that uses the network.
type Exchanger interface {
	Exchange(ctx context.Context, q *dns.Msg, server netip.AddrPort) (*dns.Msg, error)
}

// ForwarderConfig tells which name servers a Forwarder asks. The zero value means those of
// /etc/resolv.conf.
type ForwarderConfig struct {
	ResolvConf string           // read again when it changes; "" means /etc/resolv.conf
	Servers    []netip.AddrPort // instead of those in ResolvConf; none means ResolvConf
	Own        []netip.Addr     // addresses of this DNS server, which are never asked
	Exchanger  Exchanger        // nil means Network
}

// Forwarder is an Upstream that asks the host's name servers and caches their answers.
type Forwarder struct {
	cfg    ForwarderConfig
	conf   *resolvConf
	cache  *cache
	flight singleflight.Group
	first  atomic.Uint32 // index of the server to ask first: the one that answered last
}

// NewForwarder returns a Forwarder. It reads no file yet.
func NewForwarder(cfg ForwarderConfig) *Forwarder {
	if cfg.ResolvConf == "" {
		cfg.ResolvConf = hostResolvConf
	}
	if cfg.Exchanger == nil {
		cfg.Exchanger = Network{}
	}
	return &Forwarder{cfg: cfg, conf: &resolvConf{path: cfg.ResolvConf, own: cfg.Own}, cache: newCache(cacheBytes)}
}

// Cached implements Upstream.
func (f *Forwarder) Cached(q *dns.Msg) *dns.Msg {
	now := time.Now()
	entry := f.cache.get(keyOf(q), now)
	if entry == nil {
		return nil
	}
	r := entry.replyTo(q, now)
	shuffleAddresses(r)
	return r
}

// Forward implements Upstream. Askers of the same question share one look-up. That also ends
// loops: a query that a name server sends back to us waits for itself and times out once.
func (f *Forwarder) Forward(ctx context.Context, q *dns.Msg) *dns.Msg {
	key := keyOf(q)
	shared, _, _ := f.flight.Do(fmt.Sprint(key), func() (any, error) {
		m, err := f.ask(ctx, key)
		if err != nil {
			m = new(dns.Msg).SetRcode(newQuery(key, true), dns.RcodeServerFailure)
		}
		f.cache.put(key, m, time.Now())
		return m, nil
	})
	return replyWith(q, shared.(*dns.Msg), 0)
}

// ask tries the servers in turn until one gives a usable answer.
func (f *Forwarder) ask(ctx context.Context, key cacheKey) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, forwardTimeout)
	defer cancel()
	servers, err := f.servers()
	if len(servers) == 0 {
		return nil, errors.Join(errors.New("no name server to ask"), err)
	}
	first := int(f.first.Load())
	var errs []error
	for i := range forwardRounds * len(servers) {
		at := (first + i) % len(servers)
		plain := i >= len(servers) && !key.do // some servers fail on every OPT record
		m, err := f.try(ctx, newQuery(key, plain), servers[at])
		if err == nil {
			f.first.Store(uint32(at))
			return m, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

func (f *Forwarder) servers() ([]netip.AddrPort, error) {
	if len(f.cfg.Servers) > 0 {
		return f.cfg.Servers, nil
	}
	return f.conf.at(time.Now())
}

func (f *Forwarder) try(ctx context.Context, q *dns.Msg, server netip.AddrPort) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	m, err := f.cfg.Exchanger.Exchange(ctx, q, server)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", server, err)
	}
	if !m.Response || m.Id != q.Id || len(m.Question) != 1 || m.Question[0].Qtype != q.Question[0].Qtype ||
		!strings.EqualFold(m.Question[0].Name, q.Question[0].Name) {
		return nil, fmt.Errorf("ask %s: the reply is to another question", server)
	}
	if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return nil, fmt.Errorf("ask %s: %s", server, dns.RcodeToString[m.Rcode])
	}
	m.Extra = withoutMeta(m.Extra)
	return m, nil
}

// newQuery returns a query for key. A plain one has no OPT record.
func newQuery(key cacheKey, plain bool) *dns.Msg {
	q := new(dns.Msg)
	q.SetQuestion(key.name, key.qtype)
	q.CheckingDisabled = key.cd
	if !plain {
		q.SetEdns0(maxUDP, key.do)
	}
	return q
}

// withoutMeta drops the records that concern a single exchange and not the answer.
func withoutMeta(rrs []dns.RR) []dns.RR {
	var kept []dns.RR
	for _, rr := range rrs {
		if t := rr.Header().Rrtype; t != dns.TypeOPT && t != dns.TypeTSIG {
			kept = append(kept, rr)
		}
	}
	return kept
}

// shuffleAddresses shuffles the answer if it has only addresses. Some clients depend on the order
// of a chain of CNAMEs.
func shuffleAddresses(r *dns.Msg) {
	for _, rr := range r.Answer {
		if t := rr.Header().Rrtype; t != dns.TypeA && t != dns.TypeAAAA {
			return
		}
	}
	shuffle(r.Answer)
}

// Network is an Exchanger that asks over UDP, each time from a new random port, and then over TCP
// if the answer was truncated.
type Network struct{}

// Exchange implements Exchanger.
func (Network) Exchange(ctx context.Context, q *dns.Msg, server netip.AddrPort) (*dns.Msg, error) {
	m, _, err := (&dns.Client{Net: "udp", Timeout: tryTimeout}).ExchangeContext(ctx, q, server.String())
	if err == nil && m.Truncated {
		m, _, err = (&dns.Client{Net: "tcp", Timeout: tryTimeout}).ExchangeContext(ctx, q, server.String())
	}
	return m, err
}

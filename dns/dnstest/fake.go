package dnstest

import (
	"context"
	"errors"
	"net/netip"
	"sync"

	"github.com/miekg/dns"

	"tombolo/linker/record"
)

// Views is a Viewer whose views never change.
type Views map[netip.Addr]*record.View

// View implements the server's Viewer.
func (v Views) View(from netip.Addr) (*record.View, bool) {
	view, ok := v[from]
	return view, ok
}

// Upstream is a scripted name server. It implements dns.Upstream and dns.Exchanger.
type Upstream struct {
	// Reply returns the answer to a query. If Reply is nil, every answer is NXDOMAIN. If it
	// returns nil, the query times out.
	Reply func(q *dns.Msg) *dns.Msg

	mu    sync.Mutex
	asked []string
}

// Asked returns the names that were asked for, in order.
func (u *Upstream) Asked() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]string(nil), u.asked...)
}

// Cached returns nil.
func (u *Upstream) Cached(*dns.Msg) *dns.Msg { return nil }

// Forward returns the answer of Reply, or SERVFAIL for a time-out.
func (u *Upstream) Forward(_ context.Context, q *dns.Msg) *dns.Msg {
	if m := u.answer(q); m != nil {
		return m
	}
	return new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)
}

// Exchange returns the answer of Reply. All servers answer the same.
func (u *Upstream) Exchange(ctx context.Context, q *dns.Msg, _ netip.AddrPort) (*dns.Msg, error) {
	if m := u.answer(q); m != nil {
		return m, nil
	}
	<-ctx.Done()
	return nil, errors.Join(errors.New("no answer"), ctx.Err())
}

func (u *Upstream) answer(q *dns.Msg) *dns.Msg {
	u.mu.Lock()
	u.asked = append(u.asked, q.Question[0].Name)
	u.mu.Unlock()
	if u.Reply == nil {
		return new(dns.Msg).SetRcode(q, dns.RcodeNameError)
	}
	return u.Reply(q)
}

// Records returns a Reply that answers with the given records, which are written as in a zone
// file, or with NXDOMAIN if none has the name and type of the question.
func Records(texts ...string) func(*dns.Msg) *dns.Msg {
	var rrs []dns.RR
	for _, text := range texts {
		rr, err := dns.NewRR(text)
		if err != nil {
			panic("dnstest: " + err.Error())
		}
		rrs = append(rrs, rr)
	}
	return func(q *dns.Msg) *dns.Msg {
		m := new(dns.Msg).SetReply(q)
		for _, rr := range rrs {
			if dns.CanonicalName(rr.Header().Name) == dns.CanonicalName(q.Question[0].Name) && rr.Header().Rrtype == q.Question[0].Qtype {
				m.Answer = append(m.Answer, dns.Copy(rr))
			}
		}
		if len(m.Answer) == 0 {
			m.Rcode = dns.RcodeNameError
		}
		return m
	}
}

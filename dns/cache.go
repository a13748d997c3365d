package dns

import (
	"container/list"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Bounds of the cache of upstream's answers.
const (
	cacheBytes  = 16 << 20
	cacheRecord = 200 // estimated bytes of an entry besides its packed message
	maxPositive = time.Hour
	maxNegative = 5 * time.Minute
	failureTTL  = time.Second // RFC 9520 section 3.2
)

// cacheKey has the parts of a query that upstream's answer depends on.
type cacheKey struct {
	name   string // lower case
	qtype  uint16
	do, cd bool
}

func keyOf(q *dns.Msg) cacheKey {
	opt := q.IsEdns0()
	return cacheKey{
		name: dns.CanonicalName(q.Question[0].Name), qtype: q.Question[0].Qtype,
		do: opt != nil && opt.Do(), cd: q.CheckingDisabled,
	}
}

// cache keeps replies until their TTL ends. When it is full, it drops the least recently used.
type cache struct {
	limit int

	mu      sync.Mutex
	bytes   int
	entries map[cacheKey]*list.Element
	recent  *list.List // of *cached, the most recently used first
}

type cached struct {
	key     cacheKey
	msg     *dns.Msg // never changed
	stored  time.Time
	expires time.Time
	size    int
}

func newCache(limit int) *cache {
	return &cache{limit: limit, entries: make(map[cacheKey]*list.Element), recent: list.New()}
}

// get returns an entry that has not expired, or nil.
func (c *cache) get(key cacheKey, now time.Time) *cached {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[key]
	if e == nil {
		return nil
	}
	if entry := e.Value.(*cached); now.Before(entry.expires) {
		c.recent.MoveToFront(e)
		return entry
	}
	c.remove(e)
	return nil
}

// put keeps m for its lifetime.
func (c *cache) put(key cacheKey, m *dns.Msg, now time.Time) {
	life := lifetime(m)
	if life <= 0 {
		return
	}
	entry := &cached{key: key, msg: m, stored: now, expires: now.Add(life), size: m.Len() + len(key.name) + cacheRecord}
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.entries[key]; old != nil {
		c.remove(old)
	}
	c.entries[key] = c.recent.PushFront(entry)
	c.bytes += entry.size
	for c.bytes > c.limit {
		c.remove(c.recent.Back())
	}
}

func (c *cache) remove(e *list.Element) {
	entry := c.recent.Remove(e).(*cached)
	delete(c.entries, entry.key)
	c.bytes -= entry.size
}

// lifetime returns how long a reply may be kept: the smallest TTL of its records. For a negative
// reply the SOA limits it (RFC 2308 section 5), and without an SOA it is zero.
func lifetime(m *dns.Msg) time.Duration {
	switch {
	case m.Rcode == dns.RcodeServerFailure:
		return failureTTL
	case m.Rcode == dns.RcodeSuccess && answersQuestion(m):
		return min(leastTTL(m), maxPositive)
	case m.Rcode == dns.RcodeSuccess, m.Rcode == dns.RcodeNameError:
		return min(negativeTTL(m), maxNegative)
	}
	return 0
}

// answersQuestion returns false for an answer of only CNAMEs, which lead to no record.
func answersQuestion(m *dns.Msg) bool {
	for _, rr := range m.Answer {
		if rr.Header().Rrtype == m.Question[0].Qtype {
			return true
		}
	}
	return false
}

func leastTTL(m *dns.Msg) time.Duration {
	least := uint32(maxPositive / time.Second)
	for _, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range section {
			least = min(least, rr.Header().Ttl)
		}
	}
	return time.Duration(least) * time.Second
}

func negativeTTL(m *dns.Msg) time.Duration {
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return min(leastTTL(m), time.Duration(soa.Minttl)*time.Second)
		}
	}
	return 0
}

// replyTo returns the entry as a reply to q, with the TTLs reduced by the entry's age.
func (e *cached) replyTo(q *dns.Msg, now time.Time) *dns.Msg {
	return replyWith(q, e.msg, uint32(now.Sub(e.stored)/time.Second))
}

func replyWith(q, m *dns.Msg, age uint32) *dns.Msg {
	r := new(dns.Msg)
	r.SetReply(q)
	r.Rcode, r.RecursionAvailable, r.AuthenticatedData = m.Rcode, true, m.AuthenticatedData && wantsAD(q)
	r.CheckingDisabled, r.Compress = q.CheckingDisabled, true
	r.Answer, r.Ns, r.Extra = aged(m.Answer, age), aged(m.Ns, age), aged(m.Extra, age)
	return r
}

// wantsAD reports whether the asker understands the AD bit (RFC 6840 section 5.8).
func wantsAD(q *dns.Msg) bool {
	opt := q.IsEdns0()
	return q.AuthenticatedData || opt != nil && opt.Do()
}

func aged(rrs []dns.RR, age uint32) []dns.RR {
	if len(rrs) == 0 {
		return nil
	}
	out := make([]dns.RR, len(rrs))
	for i, rr := range rrs {
		out[i] = dns.Copy(rr)
		h := out[i].Header()
		h.Ttl -= min(age, h.Ttl)
	}
	return out
}

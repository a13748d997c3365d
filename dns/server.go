package dns

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"

	"tombolo/internal/wake"
	"tombolo/linker/record"
)

// Limits of forwarded queries and of connections at a time, for one asker and for all together.
const (
	forwardsPerAsker = 64
	forwardsTotal    = 1024
	connsPerAsker    = 16
	connsTotal       = 512
)

// Viewer tells what the container with an address may see.
//
//   - known=false: the address belongs to no container here, so the query is refused.
//   - known=true, view=nil: the container has yet to be identified; the query waits for that.
//
// View is called for every query, from several goroutines. It returns the same pointer as long
// as nothing has changed, and a view that it has returned never changes.
type Viewer interface {
	View(from netip.Addr) (view *record.View, known bool)
}

// Upstream answers questions about names that are not ours. Forwarder implements it. Both
// methods are called from many goroutines and do not change q. The reply has q's ID and question.
type Upstream interface {
	// Cached returns a cached reply, or nil if there is none.
	Cached(q *dns.Msg) *dns.Msg
	// Forward asks a name server. It returns SERVFAIL if none answers, and never nil.
	Forward(ctx context.Context, q *dns.Msg) *dns.Msg
}

// Config has the parts of a Server. All are required.
type Config struct {
	Sockets  []*Sockets // Run closes them when it returns
	Zone     Zone
	Viewer   Viewer
	Upstream Upstream
}

// Server answers DNS queries over UDP and TCP.
type Server struct {
	cfg      Config
	count    counters
	forwards *limit
	conns    *limit
	pending  sync.WaitGroup // queries over UDP that are answered later
}

// New returns a server, which owns cfg.Sockets from now on. It starts nothing.
func New(cfg Config) *Server {
	return &Server{
		cfg:      cfg,
		forwards: newLimit(forwardsTotal, forwardsPerAsker),
		conns:    newLimit(connsTotal, connsPerAsker),
	}
}

// Run answers queries until ctx ends. Then it closes the sockets and returns nil when all
// goroutines have ended.
func (s *Server) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, socks := range s.cfg.Sockets {
		for _, conn := range socks.UDP {
			group.Go(func() error { return s.serveUDP(ctx, conn) })
		}
		group.Go(func() error { return s.serveTCP(ctx, socks.TCP) })
	}
	group.Go(func() error {
		<-ctx.Done()
		for _, socks := range s.cfg.Sockets {
			_ = socks.Close() // the descriptors are closed even after an error
		}
		return nil
	})
	err := group.Wait()
	s.pending.Wait()
	return err
}

// A container's process starts some milliseconds before Docker tells which container it is. So
// a query from a container without a view asks for the view every viewTick, until viewWait has
// passed. Over UDP, such a query counts as a forwarded one meanwhile.
const (
	viewWait = time.Second
	viewTick = 10 * time.Millisecond
)

// awaitView returns the asker's view as soon as there is one, or nil after viewWait.
func (s *Server) awaitView(ctx context.Context, from netip.Addr) *record.View {
	for deadline := time.Now().Add(viewWait); time.Now().Before(deadline); {
		if view, known := s.cfg.Viewer.View(from); view != nil || !known {
			return view
		}
		if !wake.Sleep(ctx, viewTick) {
			return nil
		}
	}
	return nil
}

// replyUnserved returns SERVFAIL for a query whose asker has no view in time. It returns nil if
// pkt is no query.
func (s *Server) replyUnserved(pkt []byte) []byte {
	q := new(dns.Msg)
	if err := q.Unpack(pkt); err != nil || q.Response {
		s.count.malformed.Add(1)
		return nil
	}
	s.count.unserved.Add(1)
	return s.pack(q, new(dns.Msg).SetRcode(q, dns.RcodeServerFailure), classicUDP)
}

// answer returns the reply to pkt, or nil if there is none now. forward asks upstream; it returns
// nil if it sends the reply itself later. size returns the largest reply to a query.
func (s *Server) answer(view *record.View, pkt []byte, size func(q *dns.Msg) int, forward func(q *dns.Msg) *dns.Msg) []byte {
	q, r := s.resolve(view, pkt)
	if q != nil && r == nil {
		if r = s.cfg.Upstream.Cached(q); r == nil {
			r = forward(q)
		}
	}
	if r == nil {
		return nil
	}
	return s.pack(q, r, size(q))
}

// resolve unpacks pkt and answers it from the view; nil means that the asker is unknown. It
// returns a query without a reply if upstream has to be asked, a reply without a query if pkt is
// malformed, and neither if pkt deserves no reply.
func (s *Server) resolve(view *record.View, pkt []byte) (q, r *dns.Msg) {
	q = new(dns.Msg)
	err := q.Unpack(pkt)
	if err != nil || q.Response {
		s.count.malformed.Add(1)
		if len(pkt) < headerLen || q.Response || view == nil {
			return nil, nil
		}
		return nil, formatError(q)
	}
	if view != nil {
		r = s.cfg.Zone.Answer(view, q)
	}
	switch {
	case r != nil:
		shuffle(r.Answer)
	case view == nil || view.Internal: // an internal container may not send anything outside, not even a query
		s.count.refused.Add(1)
		r = new(dns.Msg).SetRcode(q, dns.RcodeRefused)
	default:
		s.count.forwarded.Add(1)
		return q, nil
	}
	s.count.answered.Add(1)
	return q, r
}

// formatError answers a message of which at least the header could be read.
func formatError(q *dns.Msg) *dns.Msg {
	r := new(dns.Msg)
	r.Id, r.Response, r.Opcode, r.Rcode = q.Id, true, q.Opcode, dns.RcodeFormatError
	return r
}

// pack truncates r to size bytes and packs it. A reply that cannot be packed becomes SERVFAIL.
func (s *Server) pack(q, r *dns.Msg, size int) []byte {
	if q != nil {
		addOPT(q, r)
		r.Truncate(size)
	}
	wire, err := r.Pack()
	if err != nil {
		wire, err = new(dns.Msg).SetRcode(r, dns.RcodeServerFailure).Pack()
	}
	if err != nil {
		return nil
	}
	if r.Truncated {
		s.count.truncated.Add(1)
	}
	return wire
}

// addOPT gives r an OPT record if q has one (RFC 6891 section 6.1.1). Pack stores the upper bits
// of an extended response code there.
func addOPT(q, r *dns.Msg) {
	if opt := q.IsEdns0(); opt != nil && r.IsEdns0() == nil {
		r.SetEdns0(maxUDP, opt.Do())
	}
}

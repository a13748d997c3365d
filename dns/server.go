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

// Bounds of what one asker, and all of them together, may have under way.
const (
	forwardsPerAsker = 64
	forwardsInAll    = 1024
	connsPerAsker    = 16
	connsInAll       = 512
)

// Viewer knows what the holder of an address may see. Not known, it is nobody's and
// is refused; known without a view, what it may see will be known in a moment, and
// it is answered then. View is called for every query, from several goroutines; it
// returns the same pointer as long as nothing has changed, and nobody changes what
// it points to.
type Viewer interface {
	View(from netip.Addr) (view *record.View, known bool)
}

// Upstream answers what is not ours. Forwarder is the real one. Both methods are
// called from many goroutines and leave q as it is; the reply has q's ID and
// question.
type Upstream interface {
	// Cached answers at once or returns nil.
	Cached(q *dns.Msg) *dns.Msg
	// Forward asks, and always answers: SERVFAIL when nobody else does.
	Forward(ctx context.Context, q *dns.Msg) *dns.Msg
}

// Config is what a Server needs.
type Config struct {
	Sockets  []*Sockets // the server closes them when it ends
	Zone     Zone
	Viewer   Viewer
	Upstream Upstream
}

// Server answers DNS over UDP and TCP. Make one with New.
type Server struct {
	cfg      Config
	count    counters
	forwards *limit
	conns    *limit
	pending  sync.WaitGroup // forwards under way
}

// New makes a server that owns cfg.Sockets and does nothing before Run.
func New(cfg Config) *Server {
	return &Server{
		cfg:      cfg,
		forwards: newLimit(forwardsInAll, forwardsPerAsker),
		conns:    newLimit(connsInAll, connsPerAsker),
	}
}

// Run answers until ctx ends, then closes the sockets and returns nil once every
// goroutine has ended.
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
			_ = socks.Close() // what is left to lose is the descriptors, and they are gone either way
		}
		return nil
	})
	err := group.Wait()
	s.pending.Wait()
	return err
}

// An asker whose view is not known yet is looked at again every viewTick, for
// viewWait: a container's process starts some milliseconds before Docker says whose
// it is. Meanwhile it has a place among the forwards.
const (
	viewWait = time.Second
	viewTick = 10 * time.Millisecond
)

// await is the asker's view once it is known; nil if that takes too long.
func (s *Server) await(ctx context.Context, from netip.Addr) *record.View {
	for late := time.Now().Add(viewWait); time.Now().Before(late); {
		if view, known := s.cfg.Viewer.View(from); view != nil || !known {
			return view
		}
		if !wake.Sleep(ctx, viewTick) {
			return nil
		}
	}
	return nil
}

// unserved is the reply to a query that cannot be answered now; nil to what is none.
func (s *Server) unserved(pkt []byte) []byte {
	q := new(dns.Msg)
	if err := q.Unpack(pkt); err != nil || q.Response {
		s.count.malformed.Add(1)
		return nil
	}
	s.count.unserved.Add(1)
	return s.pack(q, new(dns.Msg).SetRcode(q, dns.RcodeServerFailure), classicUDP)
}

// resolve answers the message pkt on the general path. A nil reply to a query means:
// ask upstream; neither means: say nothing.
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
	if view == nil {
		s.count.refused.Add(1)
		return q, new(dns.Msg).SetRcode(q, dns.RcodeRefused)
	}
	r = s.cfg.Zone.Answer(view, q)
	switch {
	case r != nil:
		shuffle(r.Answer)
	case view.Internal:
		s.count.refused.Add(1)
		r = new(dns.Msg).SetRcode(q, dns.RcodeRefused)
	}
	return q, r
}

// formatError answers what at least has a query's header.
func formatError(q *dns.Msg) *dns.Msg {
	r := new(dns.Msg)
	r.Id, r.Response, r.Opcode, r.Rcode = q.Id, true, q.Opcode, dns.RcodeFormatError
	return r
}

// pack makes r fit into size bytes. What cannot be packed becomes SERVFAIL.
func (s *Server) pack(q, r *dns.Msg, size int) []byte {
	if q != nil {
		finish(q, r)
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

// finish gives r an OPT record if q has one (RFC 6891 section 6.1.1). Pack puts
// the upper bits of an extended code into it.
func finish(q, r *dns.Msg) {
	if opt := q.IsEdns0(); opt != nil && r.IsEdns0() == nil {
		r.SetEdns0(maxUDP, opt.Do())
	}
}

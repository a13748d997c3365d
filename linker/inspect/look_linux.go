package inspect

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"time"

	"github.com/miekg/dns"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// DialTimeout bounds the attempt to open a connection, and the wait for a DNS answer.
const DialTimeout = 2 * time.Second

// resolver is where the processes of a container send their queries: in every container of
// the overlay, it leads to the linker.
var resolver = netip.MustParseAddrPort("169.254.1.1:53")

// Look looks at everything that r asks for. Parts that fail say so in the result.
func Look(ctx context.Context, r Request) Result {
	var out Result
	if r.To.IsValid() && r.Interface != "" {
		route := findRoute(r)
		out.Route = &route
	}
	if r.Sandbox == "" {
		return out
	}
	if err := inSandbox(r.Sandbox, func() { out.lookInside(ctx, r) }); err != nil {
		out.cannotEnter(r, err.Error())
	}
	return out
}

// lookInside runs on a thread in the container's network namespace.
func (out *Result) lookInside(ctx context.Context, r Request) {
	if r.Listeners {
		s := listening()
		out.Sockets = &s
	}
	if r.Name != "" {
		a := ask(ctx, r.Name)
		out.Answer = &a
	}
	if r.To.IsValid() && r.Port != 0 {
		c := dial(ctx, netip.AddrPortFrom(r.To, r.Port))
		out.Connection = &c
	}
}

func (out *Result) cannotEnter(r Request, why string) {
	if r.Listeners {
		out.Sockets = &Sockets{Error: why}
	}
	if r.Name != "" {
		out.Answer = &Answer{Error: why}
	}
}

// inSandbox runs f on a thread in the network namespace at path. Sockets that f opens stay in
// that namespace.
func inSandbox(path string, f func()) error {
	ns, err := netns.GetFromPath(path)
	if err != nil {
		return fmt.Errorf("open the container's network namespace: %w", err)
	}
	defer ns.Close()
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("find the network namespace of the thread: %w", err)
	}
	defer home.Close()
	if err := netns.Set(ns); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter the container's network namespace: %w", err)
	}
	defer func() {
		if netns.Set(home) == nil { // else the thread stays locked, and Go ends it with its goroutine
			runtime.UnlockOSThread()
		}
	}()
	f()
	return nil
}

// ask sends one query for the IPv4 addresses of name. It calls no resolver of Go's, which
// would open its sockets on other threads.
func ask(ctx context.Context, name string) Answer {
	ctx, cancel := context.WithTimeout(ctx, DialTimeout)
	defer cancel()
	query := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA)
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp", resolver.String())
	if err != nil {
		return Answer{Error: err.Error()}
	}
	defer conn.Close()
	reply, _, err := (&dns.Client{Timeout: DialTimeout}).ExchangeWithConnContext(ctx, query, &dns.Conn{Conn: conn})
	if err != nil {
		return Answer{Error: err.Error()}
	}
	out := Answer{Rcode: dns.RcodeToString[reply.Rcode]}
	for _, rr := range reply.Answer {
		if a, ok := rr.(*dns.A); ok {
			if addr, ok := netip.AddrFromSlice(a.A.To4()); ok {
				out.Addrs = append(out.Addrs, addr)
			}
		}
	}
	return out
}

func dial(ctx context.Context, to netip.AddrPort) Connection {
	ctx, cancel := context.WithTimeout(ctx, DialTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", to.String())
	if err != nil {
		return Connection{outcome(err), err.Error()}
	}
	conn.Close()
	return Connection{Outcome: Connected}
}

func outcome(err error) Outcome {
	switch {
	case errors.Is(err, unix.ECONNREFUSED), errors.Is(err, unix.ECONNRESET):
		return Refused
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, unix.ETIMEDOUT):
		return Timeout
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return Timeout
	}
	return Unreachable
}

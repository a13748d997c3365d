package gossip

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/hashicorp/memberlist"
)

// DefaultPort is the UDP and TCP port of gossip. It is not a port of Docker Swarm.
const DefaultPort = 7980

// Config describes this member and the addresses at which it finds others. With Name
// alone it works on one machine.
type Config struct {
	Name      string         // this member, unique in the cluster (Host.Name); required
	Bind      netip.AddrPort // where to listen; unset address: on all; port 0: DefaultPort
	Advertise netip.Addr     // the address that peers dial; unset: Bind's, or the machine's first private address
	Keys      [][]byte       // AES keys of 16, 24 or 32 bytes: the first encrypts, all decrypt; none: no encryption

	// Seeds are addresses (host or host:port) at which there may be a member. They are
	// dialled at the start, and whenever this member knows of no living one.
	Seeds []string

	// Known are the addresses of members of an earlier run, by name. They and all
	// members that are met later are dialled without end while they are not alive,
	// because memberlist forgets dead members and so does not heal long splits.
	Known map[string]netip.AddrPort

	Fanout    int                           // number of peers to which Broadcast sends at once; 0: 16
	Timing    Timing                        // zero fields take the values of DefaultTiming
	Log       *slog.Logger                  // nil: nothing is logged
	Transport memberlist.NodeAwareTransport // replaces the sockets in simulations; nil: sockets on Bind
}

// Timing tunes failure detection and repair. In a cluster of n members a dead one is
// found after about Probe (until a member probes it) + Probe (the direct and the
// indirect probes) + SuspicionMult * max(1, log10 n) * Probe. If no other member
// confirms the suspicion, the last term is up to SuspicionMaxMult times as long.
type Timing struct {
	Probe            time.Duration // between two probes that this member sends; 0: 500 ms
	ProbeTimeout     time.Duration // for the direct probe, before other members are asked to probe; 0: 200 ms
	SuspicionMult    int           // 0: 4
	SuspicionMaxMult int           // 0: 2
	Gossip           time.Duration // between two rounds of gossip; 0: 100 ms
	PushPull         time.Duration // between two digest exchanges; grows with log n above 32 members; 0: 15 s
	Reconnect        time.Duration // between two attempts to dial dead members; doubles up to 10 s while none answers; 0: 1 s
	Dial             time.Duration // limit for opening a TCP connection to a peer; 0: 2 s
}

// DefaultTiming suits a LAN: a dead host is found in 3 to 5 s.
func DefaultTiming() Timing { return Timing{}.withDefaults() }

// Validate returns one error that names every problem of c.
func (c Config) Validate() error {
	var errs []error
	if c.Name == "" {
		errs = append(errs, errors.New("no name"))
	}
	for i, k := range c.Keys {
		if err := memberlist.ValidateKey(k); err != nil {
			errs = append(errs, fmt.Errorf("key %d: %w", i+1, err))
		}
	}
	if c.Fanout < 0 {
		errs = append(errs, fmt.Errorf("fanout %d is negative", c.Fanout))
	}
	if t := c.Timing; min(t.Probe, t.ProbeTimeout, t.Gossip, t.PushPull, t.Reconnect, t.Dial) < 0 {
		errs = append(errs, errors.New("negative timing"))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("gossip config: %w", err)
	}
	return nil
}

func (c Config) withDefaults() Config {
	if c.Bind.Port() == 0 {
		addr := c.Bind.Addr()
		if !addr.IsValid() {
			addr = netip.IPv4Unspecified()
		}
		c.Bind = netip.AddrPortFrom(addr, DefaultPort)
	}
	if !c.Advertise.IsValid() && !c.Bind.Addr().IsUnspecified() {
		c.Advertise = c.Bind.Addr()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Fanout = cmp.Or(c.Fanout, 16)
	c.Timing = c.Timing.withDefaults()
	return c
}

func (t Timing) withDefaults() Timing {
	return Timing{
		Probe:            cmp.Or(t.Probe, 500*time.Millisecond),
		ProbeTimeout:     cmp.Or(t.ProbeTimeout, 200*time.Millisecond),
		SuspicionMult:    cmp.Or(t.SuspicionMult, 4),
		SuspicionMaxMult: cmp.Or(t.SuspicionMaxMult, 2),
		Gossip:           cmp.Or(t.Gossip, 100*time.Millisecond),
		PushPull:         cmp.Or(t.PushPull, 15*time.Second),
		Reconnect:        cmp.Or(t.Reconnect, time.Second),
		Dial:             cmp.Or(t.Dial, 2*time.Second),
	}
}

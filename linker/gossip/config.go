package gossip

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/hashicorp/memberlist"
)

// DefaultPort is gossip's UDP and TCP port (none of Swarm's).
const DefaultPort = 7980

// clusterLabel sets our packets apart from those of others who use memberlist.
const clusterLabel = "tombolo"

// memberMark is what every member of ours says of itself.
const memberMark = "tombolo member"

// Config says who this member is and whom it knows. The zero Config but for Name
// works on one machine.
type Config struct {
	Name      string         // this member, unique in the cluster (Host.Name)
	Bind      netip.AddrPort // where to listen; unset address: all; port 0: DefaultPort
	Advertise netip.Addr     // what peers dial; unset: Bind's, or the first private address of the machine
	Keys      [][]byte       // AES keys of 16, 24 or 32 bytes: the first encrypts, all decrypt; none: plain

	// Seeds are addresses (host, host:port) that may be a member. They are dialled
	// until one answers, and whenever this member is alone.
	Seeds []string

	// Known are the addresses of members of an earlier run, by name. They, and all
	// members seen since, are dialled for ever while they are not alive, for
	// memberlist forgets the dead and does not heal long splits.
	Known map[string]netip.AddrPort

	Fanout    int                           // peers that Broadcast sends to at once; default 16
	Timing    Timing                        // zero fields take DefaultTiming's
	Log       *slog.Logger                  // default: discard
	Transport memberlist.NodeAwareTransport // instead of sockets on Bind, for simulations
}

// Timing tunes failure detection and repair. With n members a dead one is found
// after about Probe (until somebody probes it) + Probe (the probe and the indirect
// ones) + SuspicionMult*max(1, log10 n)*Probe, and at most SuspicionMaxMult times
// the last term when no others confirm.
type Timing struct {
	Probe            time.Duration // between two probes that a member sends; default 500 ms
	ProbeTimeout     time.Duration // of the direct probe, before others are asked; default 200 ms
	SuspicionMult    int           // default 4
	SuspicionMaxMult int           // default 2
	Gossip           time.Duration // between two rounds of gossip; default 100 ms
	PushPull         time.Duration // between two digest exchanges, grows with log n above 32 members; default 15 s
	Reconnect        time.Duration // between two attempts to dial the missing; default 1 s, doubling to 10 s while nobody answers
	Dial             time.Duration // of a TCP connection to a peer; default 2 s
}

// DefaultTiming suits a LAN: a dead host is found in 3 to 5 s.
func DefaultTiming() Timing {
	return Timing{
		Probe:            500 * time.Millisecond,
		ProbeTimeout:     200 * time.Millisecond,
		SuspicionMult:    4,
		SuspicionMaxMult: 2,
		Gossip:           100 * time.Millisecond,
		PushPull:         15 * time.Second,
		Reconnect:        time.Second,
		Dial:             2 * time.Second,
	}
}

// Validate reports every problem of c at once.
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
		errs = append(errs, fmt.Errorf("fanout %d", c.Fanout))
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
	if c.Fanout == 0 {
		c.Fanout = 16
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Timing = c.Timing.withDefaults()
	return c
}

func (t Timing) withDefaults() Timing {
	d := DefaultTiming()
	for _, f := range []struct{ v, d *time.Duration }{
		{&t.Probe, &d.Probe}, {&t.ProbeTimeout, &d.ProbeTimeout}, {&t.Gossip, &d.Gossip},
		{&t.PushPull, &d.PushPull}, {&t.Reconnect, &d.Reconnect}, {&t.Dial, &d.Dial},
	} {
		if *f.v == 0 {
			*f.v = *f.d
		}
	}
	if t.SuspicionMult == 0 {
		t.SuspicionMult = d.SuspicionMult
	}
	if t.SuspicionMaxMult == 0 {
		t.SuspicionMaxMult = d.SuspicionMaxMult
	}
	return t
}

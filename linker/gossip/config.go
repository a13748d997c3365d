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

// Config describes this member and the addresses at which it finds others.
type Config struct {
	Name string         // this member, unique in the cluster (Host.Name); required
	Bind netip.AddrPort // where to listen, and what peers dial; required
	Keys [][]byte       // AES keys of 16, 24 or 32 bytes: the first encrypts, all decrypt; none: no encryption

	// Seeds are addresses (host or host:port) at which there may be a member. They are
	// dialled at the start, and whenever this member knows of no living one.
	Seeds []string

	// Known are the addresses of members of an earlier run, by name. They and all
	// members that are met later are dialled without end while they are not alive,
	// because memberlist forgets dead members and so does not heal long splits.
	Known map[string]netip.AddrPort

	// Note gets the notes that other members tell this one. It must not block and must not keep
	// body. It returns an error for a malformed note. nil: notes are ignored.
	Note func(from string, body []byte) error

	Fanout    int                           // number of peers to which Broadcast sends at once; 0: 16
	Gossip    time.Duration                 // between two rounds of gossip; 0: 100 ms
	PushPull  time.Duration                 // between two digest exchanges; grows with log n above 32 members; 0: 15 s
	Reconnect time.Duration                 // between two attempts to dial dead members; doubles up to 10 s while none answers; 0: 1 s
	Log       *slog.Logger                  // nil: nothing is logged
	Transport memberlist.NodeAwareTransport // replaces the sockets in simulations; nil: sockets on Bind
}

// Validate returns one error that names every problem of c.
func (c Config) Validate() error {
	var errs []error
	if c.Name == "" {
		errs = append(errs, errors.New("no name"))
	}
	if !c.Bind.IsValid() {
		errs = append(errs, errors.New("no address to listen on"))
	}
	for i, k := range c.Keys {
		if err := memberlist.ValidateKey(k); err != nil {
			errs = append(errs, fmt.Errorf("key %d: %w", i+1, err))
		}
	}
	if c.Fanout < 0 {
		errs = append(errs, fmt.Errorf("fanout %d is negative", c.Fanout))
	}
	if min(c.Gossip, c.PushPull, c.Reconnect) < 0 {
		errs = append(errs, errors.New("negative timing"))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("gossip config: %w", err)
	}
	return nil
}

func (c Config) withDefaults() Config {
	c.Fanout = cmp.Or(c.Fanout, 16)
	c.Gossip = cmp.Or(c.Gossip, 100*time.Millisecond)
	c.PushPull = cmp.Or(c.PushPull, 15*time.Second)
	c.Reconnect = cmp.Or(c.Reconnect, time.Second)
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	return c
}

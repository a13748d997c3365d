package gossip

import (
	"log"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"
)

// clusterLabel precedes all our packets, so that packets of other programs that use
// memberlist are refused.
const clusterLabel = "tombolo"

// memberMeta is the metadata of every member of ours.
const memberMeta = "tombolo member"

// The failure detector's times suit a LAN: a dead host is found in 3 to 5 s. In a cluster
// of n members that takes about probeEvery (until a member probes it) + probeEvery (the
// direct and the indirect probes) + suspicionMult * max(1, log10 n) * probeEvery. If no
// other member confirms the suspicion, the last term is up to suspicionMaxMult times as
// long.
const (
	probeEvery       = 500 * time.Millisecond // between two probes that this member sends
	probeTimeout     = 200 * time.Millisecond // for the direct probe, before other members are asked to probe
	suspicionMult    = 4
	suspicionMaxMult = 2
)

func (g *Gossip) memberlistConfig(t *transport) *memberlist.Config {
	c := memberlist.DefaultLANConfig()
	c.Name = g.cfg.Name
	c.Label = clusterLabel
	c.Transport = t
	c.BindAddr, c.BindPort = g.cfg.Bind.Addr().String(), int(g.cfg.Bind.Port())
	c.AdvertiseAddr, c.AdvertisePort = c.BindAddr, c.BindPort
	if len(g.cfg.Keys) > 0 {
		c.Keyring, _ = memberlist.NewKeyring(g.cfg.Keys, g.cfg.Keys[0]) // Validate has checked them
	}
	c.TCPTimeout = streamTimeout
	c.ProbeInterval, c.ProbeTimeout = probeEvery, probeTimeout
	c.SuspicionMult, c.SuspicionMaxTimeoutMult = suspicionMult, suspicionMaxMult
	c.GossipInterval, c.PushPullInterval = g.cfg.Gossip, g.cfg.PushPull
	c.GossipNodes = 4
	c.DeadNodeReclaimTime = 5 * time.Second // a machine may come back with another address
	c.EnableCompression = false             // packets are compact, and a stranger's could expand without bound
	c.Delegate, c.Events, c.Conflict = memberlistDelegate{g}, g.membership, g.membership
	c.Alive = g.membership
	c.Logger = newLogger(g.cfg.Log, &g.counts)
	return c
}

// memberlistDelegate implements memberlist.Delegate.
type memberlistDelegate struct{ g *Gossip }

func (d memberlistDelegate) NodeMeta(int) []byte { return []byte(memberMeta) }

func (d memberlistDelegate) NotifyMsg(frame []byte) { d.g.receive(frame) }

func (d memberlistDelegate) GetBroadcasts(overhead, limit int) [][]byte {
	return d.g.queue.GetBroadcasts(overhead, limit)
}

// LocalState returns a digest instead of the whole state, because memberlist refuses
// states above 20 MB.
func (d memberlistDelegate) LocalState(bool) []byte { return d.g.ownDigest(false) }

// MergeRemoteState only queues a job for the peer.
func (d memberlistDelegate) MergeRemoteState(frame []byte, _ bool) { d.g.receive(frame) }

// broadcast is one packet in the queue. It implements memberlist.NamedBroadcast: a packet
// replaces an older one with the same key.
type broadcast struct {
	key   string
	frame []byte
}

func (b broadcast) Name() string    { return b.key }
func (b broadcast) Message() []byte { return b.frame }
func (b broadcast) Finished()       {}

func (b broadcast) Invalidates(o memberlist.Broadcast) bool {
	other, ok := o.(broadcast)
	return ok && other.key == b.key
}

// malformedPhrases are parts of the lines that memberlist logs when a stranger's
// packet or a broken stream cannot be understood. memberlist reports these in its log
// only.
var malformedPhrases = []string{
	"not supported", "invalid msgType", "missing message type", "ailed to decode", "invalid checksum",
	"unacceptable label", "label header", "cannot decode label", "Decrypt", "ailed to receive",
	"ailed to read remote state", "truncated", "Ignoring an alive message", "wrong",
}

// logWriter receives memberlist's log. It counts malformed messages and logs every
// line as Debug, because a stranger can cause one line a packet.
type logWriter struct {
	log    *slog.Logger
	counts *counters
}

func newLogger(l *slog.Logger, c *counters) *log.Logger { return log.New(logWriter{l, c}, "", 0) }

// Write is called once a line.
func (w logWriter) Write(line []byte) (int, error) {
	s := strings.TrimSpace(string(line))
	serious := strings.HasPrefix(s, "[ERR]") || strings.HasPrefix(s, "[WARN]")
	if serious && slices.ContainsFunc(malformedPhrases, func(p string) bool { return strings.Contains(s, p) }) {
		w.counts.malformed.Add(1)
	}
	w.log.Debug("memberlist", "line", s)
	return len(line), nil
}

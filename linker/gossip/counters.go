package gossip

import (
	"log"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
)

// counters count since New.
type counters struct {
	malformed atomic.Uint64 // packets, streams and digests that could not be understood
	conflicts atomic.Uint64 // times that a second machine claimed a name
	sent      atomic.Uint64 // packets that Broadcast sent directly to a peer
	received  atomic.Uint64 // packets given to the delegate
	news      atomic.Uint64 // those of received that told the delegate something new
	repairs   atomic.Uint64 // digests received
	repaired  atomic.Uint64 // packets sent because a digest lacked them
	dropped   atomic.Uint64 // jobs that did not fit into the queue of repairs
}

// Counters returns the counts as they are now, by name.
func (g *Gossip) Counters() map[string]uint64 {
	c := &g.counts
	return map[string]uint64{
		"malformed": c.malformed.Load(), "conflicts": c.conflicts.Load(),
		"sent": c.sent.Load(), "received": c.received.Load(), "news": c.news.Load(),
		"repairs": c.repairs.Load(), "repaired": c.repaired.Load(), "dropped": c.dropped.Load(),
	}
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

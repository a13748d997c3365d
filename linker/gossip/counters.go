package gossip

import (
	"context"
	"log"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
)

// Stats are counts since New.
type Stats struct {
	Malformed uint64 // packets, streams and digests that could not be understood
	Conflicts uint64 // times that a second machine claimed a name
	Sent      uint64 // packets that Broadcast sent directly to a peer
	Received  uint64 // packets given to the delegate
	News      uint64 // those of Received that told the delegate something new
	Repairs   uint64 // digests received
	Repaired  uint64 // packets sent because a digest lacked them
	Dropped   uint64 // jobs that did not fit into the queue of repairs
}

type counters struct {
	malformed, conflicts, sent, received, news, repairs, repaired, dropped atomic.Uint64
}

// Stats returns the counts as they are now.
func (g *Gossip) Stats() Stats {
	c := &g.counts
	return Stats{
		Malformed: c.malformed.Load(), Conflicts: c.conflicts.Load(),
		Sent: c.sent.Load(), Received: c.received.Load(), News: c.news.Load(),
		Repairs: c.repairs.Load(), Repaired: c.repaired.Load(), Dropped: c.dropped.Load(),
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

func newLogger(l *slog.Logger, c *counters) *log.Logger {
	return log.New(&logWriter{log: l, counts: c}, "", 0)
}

// Write implements io.Writer. It is called once a line.
func (w *logWriter) Write(line []byte) (int, error) {
	s := strings.TrimSpace(string(line))
	if strings.HasPrefix(s, "[ERR]") || strings.HasPrefix(s, "[WARN]") {
		if slices.ContainsFunc(malformedPhrases, func(p string) bool { return strings.Contains(s, p) }) {
			w.counts.malformed.Add(1)
		}
	}
	w.log.Log(context.Background(), slog.LevelDebug, "memberlist", "line", s)
	return len(line), nil
}

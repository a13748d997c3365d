package gossip

import (
	"context"
	"log"
	"log/slog"
	"strings"
	"sync/atomic"
)

// Stats counts what happened since New.
type Stats struct {
	Malformed uint64 // packets, streams and digests that made no sense
	Conflicts uint64 // claims to a name that another address holds
	Sent      uint64 // packets sent at once
	Received  uint64 // packets merged, news or not
	News      uint64 // packets that told something new
	Repairs   uint64 // digests received
	Repaired  uint64 // packets sent because a digest lacked them
	Dropped   uint64 // work dropped because a bounded queue was full
}

type counters struct {
	malformed, sent, received, news, repairs, repaired, dropped atomic.Uint64
}

func (c *counters) drop(yes bool) {
	if yes {
		c.dropped.Add(1)
	}
}

// Stats returns counters since New.
func (g *Gossip) Stats() Stats {
	c := &g.counts
	return Stats{
		Malformed: c.malformed.Load(), Conflicts: g.roster.conflicts.Load(),
		Sent: c.sent.Load(), Received: c.received.Load(), News: c.news.Load(),
		Repairs: c.repairs.Load(), Repaired: c.repaired.Load(), Dropped: c.dropped.Load(),
	}
}

// memberlist says what it thinks of a packet in its log only. These are the words
// of what a stranger's packet or a broken stream makes it say.
var complaints = []string{
	"not supported", "invalid msgType", "missing message type", "ailed to decode", "invalid checksum",
	"unacceptable label", "label header", "cannot decode label", "Decrypt", "ailed to receive",
	"ailed to read remote state", "truncated", "Ignoring an alive message", "wrong",
}

// logger counts those, and passes everything on as Debug: one line a packet is
// nothing to log.
type logger struct {
	log    *slog.Logger
	counts *counters
}

func newLogger(l *slog.Logger, c *counters) *log.Logger {
	return log.New(&logger{log: l, counts: c}, "", 0)
}

// Write implements io.Writer, one line at a time.
func (l *logger) Write(line []byte) (int, error) {
	s := strings.TrimSpace(string(line))
	if strings.HasPrefix(s, "[ERR]") || strings.HasPrefix(s, "[WARN]") {
		for _, c := range complaints {
			if strings.Contains(s, c) {
				l.counts.malformed.Add(1)
				break
			}
		}
	}
	l.log.Log(context.Background(), slog.LevelDebug, "memberlist", "line", s)
	return len(line), nil
}

package dns

import "sync/atomic"

// Stats has counts since New.
type Stats struct {
	Queries   uint64 // over UDP and TCP
	Answered  uint64 // from a view
	Forwarded uint64 // sent upstream or answered from the cache
	Refused   uint64 // from an unknown address, or to be forwarded for an internal container
	Unserved  uint64 // from a container that was not identified in time
	Malformed uint64 // packets that are no query
	Limited   uint64 // from an asker with too many under way, or beyond its share
	Truncated uint64 // replies that were cut to the asker's size
}

type counters struct {
	queries, answered, forwarded, refused, unserved, malformed, limited, truncated atomic.Uint64
}

// Stats returns the current counts. It may be called from any goroutine.
func (s *Server) Stats() Stats {
	c := &s.count
	return Stats{
		Queries: c.queries.Load(), Answered: c.answered.Load(), Forwarded: c.forwarded.Load(),
		Refused: c.refused.Load(), Unserved: c.unserved.Load(), Malformed: c.malformed.Load(), Limited: c.limited.Load(),
		Truncated: c.truncated.Load(),
	}
}

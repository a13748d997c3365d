package dns

import "sync/atomic"

// Stats counts since the server was made.
type Stats struct {
	Queries   uint64 // over UDP and TCP
	Answered  uint64 // from a view
	Forwarded uint64 // sent upstream or answered from the cache
	Refused   uint64 // askers that are nobody
	Unserved  uint64 // askers of whom nobody said in time who they are
	Malformed uint64 // packets that are no query
	Limited   uint64 // an asker had too much under way, or more than its share
	Truncated uint64 // replies cut to the asker's size
}

type counters struct {
	queries, answered, forwarded, refused, unserved, malformed, limited, truncated atomic.Uint64
}

// Stats returns the present counts. Anyone may call it at any time.
func (s *Server) Stats() Stats {
	c := &s.count
	return Stats{
		Queries: c.queries.Load(), Answered: c.answered.Load(), Forwarded: c.forwarded.Load(),
		Refused: c.refused.Load(), Unserved: c.unserved.Load(), Malformed: c.malformed.Load(), Limited: c.limited.Load(),
		Truncated: c.truncated.Load(),
	}
}

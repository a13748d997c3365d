package dns

import "net/netip"

// fairSlack is the number of answers that an asker gets beyond its share during a backlog.
const fairSlack = 8 * batchSize

// fair distributes the answers of a worker that cannot keep up. Full batches mean that a backlog
// of packets waits in the socket. When the socket is full, the packets of all askers are lost. So
// an asker that has had more than its share of answers is ignored until the backlog is gone. To
// ignore a packet is cheap, so the worker soon reaches the packets of the others.
//
// One goroutine uses it.
type fair struct {
	behind   bool               // there is a backlog
	answered map[netip.Addr]int // during this backlog
	total    int                // the sum of answered
}

func newFair() *fair { return &fair{answered: make(map[netip.Addr]int)} }

// batch records that the worker has read n packets at once.
func (f *fair) batch(n int) {
	if n == batchSize {
		f.behind = true
	} else if f.behind {
		f.behind, f.total = false, 0
		clear(f.answered)
	}
}

// allow reports whether to answer the asker now, and counts the answer.
func (f *fair) allow(asker netip.Addr) bool {
	if !f.behind {
		return true
	}
	mine := f.answered[asker]
	if len(f.answered) > 1 && mine > f.total/len(f.answered)+fairSlack {
		return false
	}
	f.answered[asker] = mine + 1
	f.total++
	return true
}

package dns

import "net/netip"

// fairSlack is what an asker gets answered beyond its share of a backlog.
const fairSlack = 8 * batchSize

// fair shares out a worker's answers while it cannot keep up. As long as batches
// are full, packets are waiting in the socket, and what does not fit there any more
// is lost whoever sent it; so an asker that has had more than the average is not
// answered until the backlog is gone. Silence costs little: the backlog goes fast,
// and the others' questions are in it.
//
// One goroutine owns it.
type fair struct {
	behind   bool
	answered map[netip.Addr]int // since there has been a backlog
	total    int
}

func newFair() *fair { return &fair{answered: make(map[netip.Addr]int)} }

// batch tells how many packets were waiting.
func (f *fair) batch(n int) {
	if n == batchSize {
		f.behind = true
	} else if f.behind {
		f.behind, f.total = false, 0
		clear(f.answered)
	}
}

// allow reports whether asker is answered now.
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

package gossip

import (
	"context"
	"slices"
	"sync"
	"time"

	"tombolo/internal/wake"
)

// repairWorkers is the number of peers that are served at the same time.
const repairWorkers = 3

// maxWaiting bounds the large packets that wait for one peer. The next digest exchange
// finds those that were dropped.
const maxWaiting = 256

// exchangePause is about how long this member waits after others came to life before it
// exchanges digests: memberlist's own exchange may have made ours needless by then, and
// not all members shall start theirs at once.
const exchangePause = 300 * time.Millisecond

type job struct {
	digest  []byte   // send the packets that the holder of this digest lacks; nil: none
	answer  bool     // send our own digest
	ask     bool     // send our own digest and ask for the peer's
	packets [][]byte // send these, which are too large for gossip
}

func (j *job) size() int {
	n := len(j.digest)
	for _, p := range j.packets {
		n += len(p)
	}
	return n
}

// repairs is a queue of at most one job a peer, from which no two workers serve the
// same peer. A newer digest of a peer replaces an older one.
type repairs struct {
	added wake.Signal // wakes one worker; next wakes another while jobs are left

	mu      sync.Mutex
	waiting map[string]*job
	order   []string // the peers of waiting, by when their job was added
	busy    map[string]bool
	bytes   int // of all of waiting
}

func newRepairs() *repairs {
	return &repairs{waiting: map[string]*job{}, busy: map[string]bool{}, added: wake.NewSignal()}
}

// add queues j for a peer. It returns false if it had to drop some of it.
func (r *repairs) add(peer string, j job) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.waiting[peer]
	if w == nil && len(r.order) >= MaxMembers { // a message can name any peer
		return false
	}
	if r.bytes+j.size() > MaxWaiting {
		return false
	}
	if w == nil {
		w = &job{}
		r.waiting[peer] = w
		r.order = append(r.order, peer)
	}
	r.bytes -= w.size()
	defer func() { r.bytes += w.size() }()
	if j.digest != nil {
		w.digest = j.digest
	}
	w.answer, w.ask = w.answer || j.answer, w.ask || j.ask
	fits := len(w.packets)+len(j.packets) <= maxWaiting
	if fits {
		w.packets = append(w.packets, j.packets...)
	}
	r.added.Notify()
	return fits
}

// next removes the oldest job of a peer that no worker serves and returns it, or nil.
// The caller calls done after the job.
func (r *repairs) next() (peer string, j *job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.order, func(peer string) bool { return !r.busy[peer] })
	if i < 0 {
		return "", nil
	}
	peer = r.order[i]
	j = r.waiting[peer]
	delete(r.waiting, peer)
	r.bytes -= j.size()
	r.order = append(r.order[:i:i], r.order[i+1:]...)
	r.busy[peer] = true
	r.wakeNext()
	return peer, j
}

func (r *repairs) done(peer string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.busy, peer)
	r.wakeNext()
}

// wakeNext wakes a worker if jobs are left. r.mu is held.
func (r *repairs) wakeNext() {
	if len(r.order) > 0 {
		r.added.Notify()
	}
}

// addJob queues work for a peer and counts what did not fit.
func (g *Gossip) addJob(peer string, j job) {
	if !g.repairs.add(peer, j) {
		g.counts.dropped.Add(1)
	}
}

// repair runs jobs until ctx ends.
func (g *Gossip) repair(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-g.repairs.added:
		}
		for peer, j := g.repairs.next(); j != nil; peer, j = g.repairs.next() {
			g.runJob(peer, j)
			g.repairs.done(peer)
		}
	}
}

func (g *Gossip) runJob(peer string, j *job) {
	node := g.membership.node(peer)
	if node == nil {
		return // the peer has died; digests are exchanged when it comes back
	}
	packets := j.packets
	if j.digest != nil {
		missing, err := g.delegate.Missing(j.digest)
		if err != nil {
			g.counts.malformed.Add(1)
			g.cfg.Log.Debug("malformed digest", "host", peer, "err", err)
		}
		g.counts.repaired.Add(uint64(len(missing)))
		packets = append(missing, packets...)
	}
	frames := batches(packets)
	if j.answer || j.ask {
		frames = append(frames, g.ownDigest(j.ask))
	}
	for _, f := range frames {
		list := g.list.Load()
		if list == nil {
			return
		}
		if err := list.SendReliable(node, f); err != nil {
			g.cfg.Log.Debug("stream to peer broke", "host", peer, "err", err)
			return // the next digest exchange finds what is still missing
		}
	}
}

// ownDigest returns a frame with our digest. If answer is set, it asks for the
// receiver's.
func (g *Gossip) ownDigest(answer bool) []byte {
	return digestFrame(digest{from: g.cfg.Name, sum: g.delegate.Digest(), answer: answer})
}

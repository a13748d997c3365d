package block

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tombolo/internal/wake"
)

// pollPeers is how often the gossip is asked about peers, which change without a
// change of the catalog.
const pollPeers = 50 * time.Millisecond

// awaitMajority waits until a majority of the known hosts answer, however long that
// takes: the others may have given blocks away while this host was not there. If this
// host has met nobody yet, it may be the first of the cluster: it looks for the hosts
// to join until JoinTimeout and then goes on alone. It returns false when ctx ends.
func (k *Keeper) awaitMajority(ctx context.Context) bool {
	if k.cfg.Rules.Fixed.IsValid() {
		return true // the operator answers for this block
	}
	late := time.NewTimer(k.cfg.JoinTimeout)
	defer late.Stop()
	poll := time.NewTicker(pollPeers)
	defer poll.Stop()
	searched := k.cfg.Peers.Searched()
	for searching := true; ; {
		answering, known := k.cfg.Peers.Count()
		if majority(answering, known) && (answering > 0 || !searching) {
			return true
		}
		k.cfg.Report(k.lonely(answering, known, searching))
		select {
		case <-ctx.Done():
			return false
		case <-searched:
			searched, searching = nil, searching && len(k.cfg.Joins) > 0
		case <-late.C:
			searching = false
		case <-poll.C:
		}
	}
}

// lonely says for which hosts this one waits.
func (k *Keeper) lonely(answering, known int, searching bool) error {
	switch {
	case !searching:
		return fmt.Errorf("only %d of the %d known hosts answer, this one included: waiting for a majority",
			answering+1, known+1)
	case len(k.cfg.Joins) > 0:
		return fmt.Errorf("waiting for the hosts to join (%s): if none answers within %s, this host is the first of its cluster and claims a block alone",
			strings.Join(k.cfg.Joins, ", "), k.cfg.JoinTimeout)
	}
	return nil
}

// awaitIdentity waits until the known hosts have been dialled, and then while another machine
// uses this host's identity: a copy must not take over the block of the machine from whose disk
// it was made. It returns false when ctx ends.
func (k *Keeper) awaitIdentity(ctx context.Context) bool {
	if !k.cfg.Rules.Fixed.IsValid() || k.cfg.Moved {
		select {
		case <-ctx.Done():
			return false
		case <-k.cfg.Peers.Searched():
		}
	}
	for k.cfg.Peers.IdentityTaken() {
		k.cfg.Report(errors.New("another machine has the identity of this host"))
		if !wake.Sleep(ctx, time.Second) {
			return false
		}
	}
	k.cfg.Report(nil)
	return true
}

// pollRecords is the pause between two comparisons with another host, while this one waits
// for records.
const pollRecords = 250 * time.Millisecond

// awaitRecords waits until this host has the records of all hosts that another host knows:
// before, it cannot see which blocks are taken. It returns false when ctx ends.
func (k *Keeper) awaitRecords(ctx context.Context) bool {
	if k.cfg.Rules.Fixed.IsValid() {
		return true
	}
	k.cfg.Exchange.Ask()
	for began := time.Now(); !k.complete(time.Since(began)); k.cfg.Exchange.Ask() {
		c := k.cfg.Exchange.Compared()
		k.cfg.Report(fmt.Errorf("waiting for the records of other hosts: those of %d hosts have not arrived yet, and those of %d hosts are being compared", c.Missing, c.Different))
		if !wake.Sleep(ctx, pollRecords) {
			return false
		}
	}
	k.cfg.Report(nil)
	return true
}

// fewDifferences is how long awaitRecords waits for equal records of all hosts. In a cluster
// that changes all the time, some always differ.
const fewDifferences = 2 * time.Second

// complete reports whether this host knows the claims of all others. If no host answers, there
// is nobody who could tell.
func (k *Keeper) complete(waited time.Duration) bool {
	return k.upToDate(0) && (k.cfg.Exchange.Compared().Different == 0 || waited >= fewDifferences)
}

// upToDate reports whether this host has records of all hosts that another one knew when they
// were compared, more often than earlier.
func (k *Keeper) upToDate(earlier int) bool {
	if answering, _ := k.cfg.Peers.Count(); answering == 0 {
		return true
	}
	c := k.cfg.Exchange.Compared()
	return c.Count > earlier && c.Missing == 0
}

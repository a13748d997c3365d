package block

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"tombolo/internal/wake"
	"tombolo/linker/record"
)

// Catalog is the replicated table in which hosts see each other's claims.
type Catalog interface {
	Snapshot() *record.Snapshot
	Watch() (changes <-chan struct{}, cancel func())
}

// Peers tells about the other hosts of the cluster.
type Peers interface {
	// Searched is closed once every configured and every known host has been dialled.
	Searched() <-chan struct{}
	// Count returns how many other hosts answer now, and how many this host has ever met.
	Count() (answering, known int)
	// NameTaken reports whether another machine uses this host's name.
	NameTaken() bool
}

// Addresses hands out the addresses of the block.
type Addresses interface {
	// UseBlock says which block is this host's.
	UseBlock(block4, block6 netip.Prefix) error
	// InUse reports whether a container has an address, or is being given one.
	InUse() bool
	// Refuse makes new requests fail with the reason; nil allows them again.
	Refuse(reason error)
}

// Config has a Keeper's settings and the parts that it uses.
type Config struct {
	Rules       Rules
	Last        Claim         // of the last run; zero: there is none
	Joins       bool          // the operator named hosts to join
	JoinTimeout time.Duration // how long a host that has met no other looks for those to join
	Settle      time.Duration // how long other hosts may contest a new claim

	Catalog   Catalog
	Peers     Peers
	Addresses Addresses

	Announce func(Claim) error // tells the other hosts
	Save     func(Claim)       // keeps the claim for the next run
	Report   func(error)       // says why this host has no usable block; nil: it has one
	Log      *slog.Logger
}

// Keeper keeps this host in possession of a block. Make one with New.
type Keeper struct {
	cfg     Config
	current atomic.Pointer[Claim]
	changed wake.Broadcast
}

// New returns a Keeper that acts once Run is called.
func New(cfg Config) *Keeper { return &Keeper{cfg: cfg} }

// Current returns this host's claim, or nil while it has none that has settled. The
// pointer changes with the claim; nobody changes what it points to.
func (k *Keeper) Current() *Claim { return k.current.Load() }

// Watch returns a channel that receives after Current changed.
func (k *Keeper) Watch() (changes <-chan struct{}, cancel func()) { return k.changed.Watch() }

// Run claims a block and defends it until ctx ends. It returns an error if the block
// cannot be used or announced.
func (k *Keeper) Run(ctx context.Context) error {
	claim := k.lastClaim()
	if !claim.Block4.IsValid() && (!k.awaitMajority(ctx) || !k.awaitName(ctx)) {
		return nil
	}
	for {
		if !claim.Block4.IsValid() {
			var err error
			if claim, err = k.acquire(ctx); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		if err := k.use(claim); err != nil {
			return err
		}
		if !k.defend(ctx, claim) {
			return nil
		}
		k.cfg.Log.Warn("giving up a block that another host claimed first", "block", claim.Block4)
		claim = Claim{}
	}
}

// lastClaim returns the last run's claim. If the configuration no longer permits it,
// lastClaim returns none, unless addresses are in use: then it returns the block
// without an IPv6 half outside of the pool.
func (k *Keeper) lastClaim() Claim {
	last, rules := k.cfg.Last, k.cfg.Rules
	switch {
	case !last.Block4.IsValid(), rules.allow(last):
		return last
	case !k.cfg.Addresses.InUse():
		return Claim{}
	}
	k.cfg.Log.Warn("keeping the block of the last run because its addresses are in use; the configuration asks for another",
		"block", last.Block4, "block6", last.Block6, "wanted", rules.Fixed, "pool", rules.Pool4, "pool6", rules.Pool6)
	if !Within(last.Block6, rules.Pool6) {
		last.Block6 = netip.Prefix{}
	}
	return last
}

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
		if !searching {
			k.cfg.Report(fmt.Errorf("only %d of the %d known hosts answer, this one included: waiting for a majority",
				answering+1, known+1))
		}
		select {
		case <-ctx.Done():
			return false
		case <-searched:
			searched, searching = nil, searching && k.cfg.Joins
		case <-late.C:
			searching = false
		case <-poll.C:
		}
	}
}

// awaitName waits while another machine uses this host's name, so that a newcomer takes
// no block from the host that had the name first. It returns false when ctx ends.
func (k *Keeper) awaitName(ctx context.Context) bool {
	for k.cfg.Peers.NameTaken() {
		if !wake.Sleep(ctx, time.Second) {
			return false
		}
	}
	return true
}

// acquire announces claims until nobody contests one for as long as Settle. When ctx
// ends first, it returns an empty claim.
func (k *Keeper) acquire(ctx context.Context) (Claim, error) {
	changes, stop := k.cfg.Catalog.Watch()
	defer stop()
	for ctx.Err() == nil {
		claim, err := k.cfg.Rules.choose(k.cfg.Catalog.Snapshot())
		if k.cfg.Report(err); err != nil {
			select {
			case <-ctx.Done():
			case <-changes: // a block may have become free
			}
			continue
		}
		if claim.Claimed.IsZero() {
			claim.Claimed = time.Now().UTC().Truncate(time.Millisecond)
		}
		if err := k.cfg.Announce(claim); err != nil {
			return Claim{}, err
		}
		if k.settles(ctx, claim, changes) {
			k.cfg.Log.Info("claimed a block", "block", claim.Block4, "block6", claim.Block6)
			k.cfg.Save(claim)
			return claim, nil
		}
	}
	return Claim{}, nil
}

// settles reports whether nobody with an older claim contests an announced one in time.
func (k *Keeper) settles(ctx context.Context, claim Claim, changes <-chan struct{}) bool {
	settled := time.NewTimer(k.cfg.Settle)
	defer settled.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-settled.C:
			return true
		case <-changes:
			if !k.cfg.Rules.Fixed.IsValid() && k.contested(claim) != nil {
				return false
			}
		}
	}
}

// use makes the block available to those that wait for it.
func (k *Keeper) use(claim Claim) error {
	if err := k.cfg.Addresses.UseBlock(claim.Block4, claim.Block6); err != nil {
		return err
	}
	k.quarantine(nil)
	k.current.Store(&claim)
	k.changed.Notify()
	return k.cfg.Announce(claim)
}

// recheck is how often a quarantined block is looked at again: an address that is
// released changes no catalog.
const recheck = time.Second

// defend watches for an older claim of the block until ctx ends. It returns true when
// this host should give the block up, which costs nothing while no container has an
// address of it.
func (k *Keeper) defend(ctx context.Context, claim Claim) (lost bool) {
	changes, stop := k.cfg.Catalog.Watch()
	defer stop()
	for {
		err := k.contested(claim)
		k.quarantine(err) // before InUse is asked, so that no address is handed out in between
		var again <-chan time.Time
		if err != nil {
			if !k.cfg.Addresses.InUse() && !k.cfg.Rules.Fixed.IsValid() {
				return true
			}
			again = time.After(recheck)
		}
		select {
		case <-ctx.Done():
			return false
		case <-changes:
		case <-again:
		}
	}
}

func (k *Keeper) contested(claim Claim) error {
	return k.cfg.Rules.contested(k.cfg.Catalog.Snapshot(), claim)
}

// quarantine stops handing out addresses of the block and says why; nil ends that.
func (k *Keeper) quarantine(why error) {
	k.cfg.Addresses.Refuse(why)
	k.cfg.Report(why)
}

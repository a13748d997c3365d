package block

import (
	"context"
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
	// IdentityTaken reports whether another machine uses this host's identity.
	IdentityTaken() bool
}

// Exchange compares this host's records with those of other hosts.
type Exchange interface {
	// Ask asks another host, which answers, for the records that this host lacks.
	Ask()
	// Compared returns the result of the last comparison.
	Compared() Comparison
}

// Comparison says what another host holds that this one does not.
type Comparison struct {
	Count     int // of comparisons so far; 0: no other host has told what it holds
	Missing   int // hosts of which this one has no record
	Different int // hosts of which the two have different records
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
	Moved       bool          // this machine has another address than in the last run: it may be a copy of another one
	Contested   bool          // Last was another identity's claim: others may have the block by now
	Joins       []string      // the hosts to join that the operator named
	JoinTimeout time.Duration // how long a host that has met no other looks for those to join
	Settle      time.Duration // how long other hosts may contest a new claim

	Catalog   Catalog
	Peers     Peers
	Exchange  Exchange
	Addresses Addresses

	Announce func(Claim, record.Hold) error // tells the other hosts, also what they have been told before
	Adopt    func() error                   // is called before this host claims a block; an error ends Run
	Save     func(Claim)                    // keeps the claim for the next run
	Report   func(error)                    // says why this host has no usable block; nil: it has one
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
	if k.cfg.Moved && !k.awaitIdentity(ctx) {
		return nil
	}
	if !claim.Block4.IsValid() || k.cfg.Contested {
		if !k.awaitMajority(ctx) || !k.awaitIdentity(ctx) || !k.awaitRecords(ctx) {
			return nil
		}
		if err := k.cfg.Adopt(); err != nil {
			return err
		}
		if k.lent(claim) && !k.cfg.Addresses.InUse() {
			claim = Claim{}
		}
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
		if !k.lent(claim) {
			k.cfg.Save(claim)
		}
		if lost, err := k.defend(ctx, claim); !lost || err != nil {
			return err
		}
		k.cfg.Log.Warn("giving up a block that belongs to another host", "block", claim.Block4)
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
		if err := k.cfg.Announce(claim, record.HoldAnnounced); err != nil {
			return Claim{}, err
		}
		if k.settles(ctx, claim, changes) {
			k.cfg.Log.Info("claimed a block", "block", claim.Block4, "block6", claim.Block6)
			return claim, nil
		}
	}
	return Claim{}, nil
}

// settles reports whether nobody contests an announced claim for as long as Settle, and until
// another host has told what it holds by then.
func (k *Keeper) settles(ctx context.Context, claim Claim, changes <-chan struct{}) bool {
	earlier := k.cfg.Exchange.Compared().Count
	settled := time.NewTimer(k.cfg.Settle)
	defer settled.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-settled.C:
			if k.upToDate(earlier) {
				return true
			}
			k.cfg.Exchange.Ask()
			settled.Reset(pollRecords)
		case <-changes:
			if !k.cfg.Rules.Fixed.IsValid() && k.contested(claim, record.HoldAnnounced) != nil {
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
	return nil
}

// recheck is how often the keeper looks whether a container has an address of the block,
// because that changes no catalog. It bounds how often the keeper announces its claim again
// while others claim the block.
const recheck = time.Second

// defend announces the claim, and looks for other claims of the block until ctx ends. It
// returns true when this host should give the block up, which costs nothing while no
// container has an address of it.
func (k *Keeper) defend(ctx context.Context, claim Claim) (lost bool, err error) {
	changes, stop := k.cfg.Catalog.Watch()
	defer stop()
	again := time.NewTicker(recheck)
	defer again.Stop()
	var told told
	for {
		if err := k.tell(claim, &told); err != nil {
			return false, err
		}
		why := k.contested(claim, told.hold)
		k.quarantine(why) // before InUse is asked, so that no address is handed out in between
		if why != nil && !k.cfg.Addresses.InUse() && !k.cfg.Rules.Fixed.IsValid() {
			return true, nil
		}
		select {
		case <-ctx.Done():
			return false, nil
		case <-changes:
		case <-again.C:
		}
	}
}

// told is what this host has announced of its claim.
type told struct {
	hold   record.Hold
	at     time.Time
	rivals map[string]*record.Host // that have been answered, by key
}

// tell announces a claim when its hold has changed, and when another host announces the same
// block: that one may not have seen this claim.
func (k *Keeper) tell(claim Claim, t *told) error {
	hold := record.HoldSettled
	if k.cfg.Addresses.InUse() {
		hold = record.HoldUsed
	}
	rivals := map[string]*record.Host{}
	if k.lent(claim) {
		hold = record.HoldAnnounced // it never takes the block from a host that has it by now
	}
	news := hold != t.hold
	for _, h := range k.cfg.Rules.rivals(k.cfg.Catalog.Snapshot(), claim) {
		rivals[h.Key()] = h
		news = news || t.rivals[h.Key()] != h && time.Since(t.at) >= recheck
	}
	if !news {
		return nil
	}
	*t = told{hold: hold, at: time.Now(), rivals: rivals}
	return k.cfg.Announce(claim, hold)
}

// lent reports whether a claim was another identity's, and another host has the block by now.
func (k *Keeper) lent(claim Claim) bool {
	return k.cfg.Contested && claim.Block4 == k.cfg.Last.Block4 && k.cfg.Rules.taken(k.cfg.Catalog.Snapshot(), claim.Block4)
}

func (k *Keeper) contested(claim Claim, hold record.Hold) error {
	return k.cfg.Rules.contested(k.cfg.Catalog.Snapshot(), claim, hold)
}

// quarantine stops handing out addresses of the block and says why; nil ends that.
func (k *Keeper) quarantine(why error) {
	k.cfg.Addresses.Refuse(why)
	k.cfg.Report(why)
}

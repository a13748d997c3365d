package ipam

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"tombolo/internal/state"
)

// ErrExhausted says that every address of the block is held.
var ErrExhausted = errors.New("address block exhausted")

// Lease is a number of the block that was given at least once.
type Lease struct {
	Index    uint32    `json:"index"`
	Held     bool      `json:"held,omitempty"`
	Since    time.Time `json:"since"`             // requested
	Released time.Time `json:"released,omitzero"` // given back: the longest free is used first
}

// Allocator hands out the numbers of one block, as IPv4 addresses; the IPv6 address
// of the same number belongs to whoever holds that, see Sibling. All its methods may
// be called at the same time, and each has been written to its file when it returns.
type Allocator struct {
	file string
	now  func() time.Time

	mu     sync.Mutex
	doc    document
	refuse string        // why no new address is given; "" when they are
	missed uint64        // requests when no address was left
	ready  chan struct{} // closed once the block is known
}

// document is what the file holds.
type document struct {
	Block4 netip.Prefix `json:"block4,omitzero"`
	Block6 netip.Prefix `json:"block6,omitzero"`
	// Leases holds every number that was ever given, by number, so that reuse can
	// choose the one that has been free for longest: caches and peers that still
	// think of the former holder have the most time to forget it.
	Leases map[uint32]*Lease `json:"leases"`
}

// Open reads what an earlier run left in file. A broken file is moved aside and
// logged: what Docker still uses comes back with Adopt.
func Open(file string, log *slog.Logger) (*Allocator, error) {
	a := &Allocator{file: file, now: time.Now, ready: make(chan struct{})}
	err := state.Load(file, &a.doc)
	switch {
	case errors.Is(err, state.ErrBroken):
		log.Warn("addresses start anew", "err", err)
		a.doc = document{}
	case err != nil:
		return nil, err
	}
	if a.doc.Leases == nil {
		a.doc.Leases = map[uint32]*Lease{}
	}
	return a, nil
}

// Use says which block is this host's; block6 is unset without IPv6. Of inUse,
// which are addresses that somebody has whatever the file says, those of the block
// are held from the beginning. A block other than the one before is refused while
// an address of it is held. An error of the file's keeps nobody from using the block.
func (a *Allocator) Use(block4, block6 netip.Prefix, inUse ...netip.Addr) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	changed := block4 != a.doc.Block4 || block6 != a.doc.Block6
	if changed {
		adopted := a.doc.Block4 == block4 || !a.doc.Block4.IsValid()
		if n := a.held(); n > 0 && !adopted {
			return fmt.Errorf("change block %s to %s: %d addresses are in use", a.doc.Block4, block4, n)
		}
		if !adopted {
			a.doc.Leases = map[uint32]*Lease{}
		}
		a.doc.Block4, a.doc.Block6 = block4, block6
	}
	for _, addr := range inUse {
		if i, ok := index(block4, addr); ok {
			changed = a.take(i) || changed
		}
	}
	select {
	case <-a.ready:
	default:
		close(a.ready)
	}
	if !changed {
		return nil
	}
	return a.save()
}

// Ready is closed once the block is known.
func (a *Allocator) Ready() <-chan struct{} { return a.ready }

// Refuse makes every new request fail with reason, until it is called with "".
// Addresses already held are not touched.
func (a *Allocator) Refuse(reason string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refuse = reason
}

// Request hands out an address, waiting until the block is known or ctx ends: want,
// or any if that is unset. It fails with ErrExhausted when every address is held.
func (a *Allocator) Request(ctx context.Context, want netip.Addr) (netip.Addr, error) {
	select {
	case <-a.ready:
	case <-ctx.Done():
		return netip.Addr{}, errors.New("this host has no address block yet: it waits for its peers")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.refuse != "" {
		return netip.Addr{}, errors.New(a.refuse)
	}
	i, err := a.pick(want)
	if err != nil {
		return netip.Addr{}, err
	}
	a.take(i)
	return at(a.doc.Block4, i), a.save()
}

// Sibling is the IPv6 address with the number of an IPv4 one. It is the zero Addr
// without an IPv6 block, and for an address outside the block.
func (a *Allocator) Sibling(addr4 netip.Addr) netip.Addr {
	a.mu.Lock()
	defer a.mu.Unlock()
	i, ok := index(a.doc.Block4, addr4)
	if !ok || !a.doc.Block6.IsValid() {
		return netip.Addr{}
	}
	return at(a.doc.Block6, i)
}

// Release gives an address back. An address that is not held is no error: Docker
// repeats calls, and some it never makes.
func (a *Allocator) Release(addr netip.Addr) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	i, ok := index(a.doc.Block4, addr)
	l := a.doc.Leases[i]
	if !ok || l == nil || !l.Held {
		return nil
	}
	l.Held, l.Released = false, a.now()
	return a.save()
}

// Adopt marks an address as held that Docker says is in use. One outside the block
// is left alone: it belongs to an earlier block of this host.
func (a *Allocator) Adopt(addr netip.Addr) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	i, ok := index(a.doc.Block4, addr)
	if !ok {
		return nil
	}
	a.take(i)
	return a.save()
}

// Exhausted counts the requests that failed because every address was held.
func (a *Allocator) Exhausted() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.missed
}

// Held lists the addresses that are held and since when they are.
func (a *Allocator) Held() map[netip.Addr]time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := map[netip.Addr]time.Time{}
	for _, l := range a.doc.Leases {
		if l.Held {
			out[at(a.doc.Block4, l.Index)] = l.Since
		}
	}
	return out
}

func (a *Allocator) held() int {
	n := 0
	for _, l := range a.doc.Leases {
		if l.Held {
			n++
		}
	}
	return n
}

// pick finds the number that is given for want.
func (a *Allocator) pick(want netip.Addr) (uint32, error) {
	block := a.doc.Block4
	if !want.IsValid() {
		return a.free()
	}
	i, ok := index(block, want)
	switch l := a.doc.Leases[i]; {
	case !ok || i <= hostIndex || i > a.last():
		return 0, fmt.Errorf("address %s is not one of this host's (%s, from %s to %s)",
			want, block, at(block, hostIndex+1), at(block, a.last()))
	case l != nil && l.Held:
		return 0, fmt.Errorf("address %s is in use", want)
	}
	return i, nil
}

// free is a number never given, or else the one that was given back first.
func (a *Allocator) free() (uint32, error) {
	var oldest *Lease
	for i := uint32(hostIndex + 1); i <= a.last(); i++ {
		l := a.doc.Leases[i]
		if l == nil {
			return i, nil
		}
		if !l.Held && (oldest == nil || l.Released.Before(oldest.Released)) {
			oldest = l
		}
	}
	if oldest == nil {
		a.missed++
		return 0, fmt.Errorf("%w: all %d addresses of this host's block %s are in use",
			ErrExhausted, a.last()-hostIndex, a.doc.Block4)
	}
	return oldest.Index, nil
}

// take reports whether the number was free.
func (a *Allocator) take(i uint32) bool {
	if l := a.doc.Leases[i]; l != nil && l.Held {
		return false
	}
	a.doc.Leases[i] = &Lease{Index: i, Held: true, Since: a.now()}
	return true
}

// last is the highest number handed out: the very last of a block stays unused,
// as .255 does.
func (a *Allocator) last() uint32 {
	return 1<<(32-a.doc.Block4.Bits()) - 2
}

func (a *Allocator) save() error { return state.Save(a.file, a.doc, false) }

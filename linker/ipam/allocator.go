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

// ErrExhausted is returned when every address of the block is held.
var ErrExhausted = errors.New("address block exhausted")

// Allocator hands out the addresses of one block. A container gets an IPv4 address and
// the IPv6 address with the same number in its block, see Sibling. The methods may be
// called at the same time. When one returns, its effect is in the file.
type Allocator struct {
	file string

	mu        sync.Mutex
	doc       document
	refuse    error         // why new requests fail; nil: they do not
	exhausted uint64        // requests that failed because every address was held
	ready     chan struct{} // closed once the block is known
}

// document is the content of the file.
type document struct {
	Block4 netip.Prefix `json:"block4,omitzero"`
	Block6 netip.Prefix `json:"block6,omitzero"`
	// Leases has every number that was ever handed out. The number that has been free
	// for longest is reused first, so that caches and peers have time to forget its
	// former holder.
	Leases map[uint32]*lease `json:"leases"`
}

// lease is the state of a number in the block that was handed out at least once.
type lease struct {
	Index    uint32    `json:"index"`
	Held     bool      `json:"held,omitempty"`
	Since    time.Time `json:"since"`             // when it was handed out last
	Released time.Time `json:"released,omitzero"` // when it was last given back; zero: not since it was handed out
}

// Open reads the file of the last run. A broken file is moved aside and logged; Adopt
// then marks the addresses that Docker still uses.
func Open(file string, log *slog.Logger) (*Allocator, error) {
	a := &Allocator{file: file, ready: make(chan struct{})}
	if err := state.LoadOrReset(file, &a.doc, log, "the addresses of the last run are unknown"); err != nil {
		return nil, err
	}
	if a.doc.Leases == nil {
		a.doc.Leases = map[uint32]*lease{}
	}
	return a, nil
}

// Use sets this host's block; block6 is unset without IPv6. Addresses in inUse that lie
// in the block are held from the start, even if the file does not say so. Use returns an error if
// addresses of another block are held. It also returns an error if the file cannot be
// written, but then the block is in use.
func (a *Allocator) Use(block4, block6 netip.Prefix, inUse ...netip.Addr) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if old := a.doc.Block4; old.IsValid() && old != block4 {
		if n := len(a.held()); n > 0 {
			return fmt.Errorf("change block %s to %s: %d addresses are in use", old, block4, n)
		}
		a.doc.Leases = map[uint32]*lease{}
	}
	changed := block4 != a.doc.Block4 || block6 != a.doc.Block6
	a.doc.Block4, a.doc.Block6 = block4, block6
	for _, addr := range inUse {
		if i, ok := index(block4, addr); ok {
			changed = a.hold(i) || changed
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

// Refuse makes every new request fail with reason; nil allows requests again. Addresses
// that are held stay held.
func (a *Allocator) Refuse(reason error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refuse = reason
}

// Request hands out the address want, or any if want is unset. It waits until the block
// is known or ctx ends. It returns ErrExhausted if every address is held.
func (a *Allocator) Request(ctx context.Context, want netip.Addr) (netip.Addr, error) {
	select {
	case <-a.ready:
	case <-ctx.Done():
		return netip.Addr{}, errors.New("this host has no address block yet: it waits for its peers (see: tombolo linker status)")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.refuse != nil {
		return netip.Addr{}, a.refuse
	}
	i, err := a.choose(want)
	if err != nil {
		return netip.Addr{}, err
	}
	a.hold(i)
	return at(a.doc.Block4, i), a.save()
}

// Sibling returns the IPv6 address with the number of an IPv4 address. It returns the
// zero Addr without an IPv6 block, and for an address outside the block.
func (a *Allocator) Sibling(addr4 netip.Addr) netip.Addr {
	a.mu.Lock()
	defer a.mu.Unlock()
	i, ok := index(a.doc.Block4, addr4)
	if !ok || !a.doc.Block6.IsValid() {
		return netip.Addr{}
	}
	return at(a.doc.Block6, i)
}

// Release gives an address back. It is no error if nobody holds the address, because
// Docker repeats calls.
func (a *Allocator) Release(addr netip.Addr) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	i, ok := index(a.doc.Block4, addr)
	l := a.doc.Leases[i]
	if !ok || l == nil || !l.Held {
		return nil
	}
	l.Held, l.Released = false, time.Now()
	return a.save()
}

// Adopt marks an address as held because Docker says that it is in use. It ignores an
// address outside the block, which comes from an earlier block of this host.
func (a *Allocator) Adopt(addr netip.Addr) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	i, ok := index(a.doc.Block4, addr)
	if !ok {
		return nil
	}
	a.hold(i)
	return a.save()
}

// Exhausted returns how many requests failed because every address was held.
func (a *Allocator) Exhausted() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.exhausted
}

// Held returns the addresses that are held, with the times when they were handed out.
func (a *Allocator) Held() map[netip.Addr]time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.held()
}

func (a *Allocator) held() map[netip.Addr]time.Time {
	out := map[netip.Addr]time.Time{}
	for _, l := range a.doc.Leases {
		if l.Held {
			out[at(a.doc.Block4, l.Index)] = l.Since
		}
	}
	return out
}

// choose returns the number of want, or of an address that nobody holds.
func (a *Allocator) choose(want netip.Addr) (uint32, error) {
	if !want.IsValid() {
		return a.free()
	}
	block := a.doc.Block4
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

// free returns a number that was never handed out, or else the one that has been free
// for longest.
func (a *Allocator) free() (uint32, error) {
	var oldest *lease
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
		a.exhausted++
		return 0, fmt.Errorf("%w: all %d addresses of this host's block %s are in use",
			ErrExhausted, a.last()-hostIndex, a.doc.Block4)
	}
	return oldest.Index, nil
}

// hold reports whether the number was free.
func (a *Allocator) hold(i uint32) bool {
	if l := a.doc.Leases[i]; l != nil && l.Held {
		return false
	}
	a.doc.Leases[i] = &lease{Index: i, Held: true, Since: time.Now()}
	return true
}

// last is the highest number that is handed out. The very last address of a block, such
// as .255, stays unused.
func (a *Allocator) last() uint32 { return 1<<(32-a.doc.Block4.Bits()) - 2 }

func (a *Allocator) save() error { return state.Save(a.file, a.doc, false) }

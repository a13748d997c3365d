package ipam

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"tombolo/linker/state"
)

// ErrExhausted says that every address of the block is held.
var ErrExhausted = errors.New("address block exhausted")

// Request asks for one address.
type Request struct {
	// Key ties the two addresses of one endpoint together: its MAC. Two endpoints
	// may have the same one; each is given addresses of its own.
	Key string
	V6  bool
	// Want is the address asked for, or unset for any.
	Want netip.Addr
}

// Lease is a pair of addresses with one number, or half of one.
type Lease struct {
	Index    uint32    `json:"index"`
	Key      string    `json:"key"`
	Held4    bool      `json:"held4,omitempty"`
	Held6    bool      `json:"held6,omitempty"`
	Since    time.Time `json:"since"`             // requested
	Released time.Time `json:"released,omitzero"` // given back: the longest free is used first
}

func (l *Lease) held() bool { return l.Held4 || l.Held6 }

func (l *Lease) holds(v6 bool) bool { return v6 && l.Held6 || !v6 && l.Held4 }

// Allocator hands out the addresses of one block. All its methods may be called at
// the same time, and each has been written to its file when it returns.
type Allocator struct {
	file string
	now  func() time.Time

	mu     sync.Mutex
	doc    document
	refuse string        // why no new address is given; "" when they are
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

// Use says which block is this host's; block6 is unset without IPv6. A block
// other than the one before is refused while an address of it is held.
func (a *Allocator) Use(block4, block6 netip.Prefix) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if block4 != a.doc.Block4 || block6 != a.doc.Block6 {
		adopted := a.doc.Block4 == block4 || !a.doc.Block4.IsValid()
		if n := len(a.held()); n > 0 && !adopted {
			return fmt.Errorf("change block %s to %s: %d addresses are in use", a.doc.Block4, block4, n)
		}
		if !adopted {
			a.doc.Leases = map[uint32]*Lease{}
		}
		a.doc.Block4, a.doc.Block6 = block4, block6
		if err := a.save(); err != nil {
			return err
		}
	}
	select {
	case <-a.ready:
	default:
		close(a.ready)
	}
	return nil
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

// Request hands out an address, waiting until the block is known or ctx ends. The
// other family's address of the same Key has the same number. It fails with
// ErrExhausted when every address is held.
func (a *Allocator) Request(ctx context.Context, r Request) (netip.Addr, error) {
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
	block := a.block(r.V6)
	if !block.IsValid() {
		return netip.Addr{}, errors.New("this host has no IPv6 block")
	}
	l, err := a.pick(r, block)
	if err != nil {
		return netip.Addr{}, err
	}
	if r.V6 {
		l.Held6 = true
	} else {
		l.Held4 = true
	}
	return at(block, l.Index), a.save()
}

// Release gives an address back. An address that is not held is no error: Docker
// repeats calls, and some it never makes.
func (a *Allocator) Release(addr netip.Addr) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	l, v6 := a.lease(addr)
	if l == nil || !l.held() {
		return nil
	}
	if v6 {
		l.Held6 = false
	} else {
		l.Held4 = false
	}
	if !l.held() {
		l.Released, l.Key = a.now(), ""
	}
	return a.save()
}

// Adopt marks addresses as held that Docker says are in use. Those outside the
// block are left alone: they belong to an earlier block of this host.
func (a *Allocator) Adopt(key string, addrs ...netip.Addr) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, addr := range addrs {
		block := a.block(addr.Is6())
		i, ok := index(block, addr)
		if !ok {
			continue
		}
		l := a.take(i, key)
		l.Held4 = l.Held4 || addr.Is4()
		l.Held6 = l.Held6 || addr.Is6()
	}
	return a.save()
}

// Held lists the addresses that are held and since when they are.
func (a *Allocator) Held() map[netip.Addr]time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := map[netip.Addr]time.Time{}
	for _, l := range a.held() {
		if l.Held4 {
			out[at(a.doc.Block4, l.Index)] = l.Since
		}
		if l.Held6 && a.doc.Block6.IsValid() {
			out[at(a.doc.Block6, l.Index)] = l.Since
		}
	}
	return out
}

func (a *Allocator) held() []*Lease {
	var out []*Lease
	for _, l := range a.doc.Leases {
		if l.held() {
			out = append(out, l)
		}
	}
	return out
}

func (a *Allocator) block(v6 bool) netip.Prefix {
	if v6 {
		return a.doc.Block6
	}
	return a.doc.Block4
}

func (a *Allocator) lease(addr netip.Addr) (_ *Lease, v6 bool) {
	i, ok := index(a.block(addr.Is6()), addr)
	if !ok {
		return nil, false
	}
	return a.doc.Leases[i], addr.Is6()
}

// pick finds the lease that r is given.
func (a *Allocator) pick(r Request, block netip.Prefix) (*Lease, error) {
	var mine *Lease // begun for the other family, last
	for _, l := range a.held() {
		if r.Key != "" && l.Key == r.Key && !l.holds(r.V6) && (mine == nil || l.Since.After(mine.Since)) {
			mine = l
		}
	}
	if !r.Want.IsValid() {
		if mine != nil {
			return mine, nil
		}
		return a.free(r.Key)
	}
	i, ok := index(block, r.Want)
	switch {
	case !ok || i <= hostIndex || i > a.last():
		return nil, fmt.Errorf("address %s is not one of this host's (%s, from %s to %s)",
			r.Want, block, at(block, hostIndex+1), at(block, a.last()))
	case mine != nil && mine.Index != i:
		return nil, fmt.Errorf("address %s: IPv4 and IPv6 go in step, ask for %s", r.Want, at(block, mine.Index))
	case mine == nil && a.doc.Leases[i] != nil && a.doc.Leases[i].held():
		return nil, fmt.Errorf("address %s is in use", r.Want)
	case mine != nil:
		return mine, nil
	}
	return a.take(i, r.Key), nil
}

// free is the number never given, or else the one that was given back first.
func (a *Allocator) free(key string) (*Lease, error) {
	var oldest *Lease
	for i := uint32(hostIndex + 1); i <= a.last(); i++ {
		l := a.doc.Leases[i]
		if l == nil {
			return a.take(i, key), nil
		}
		if !l.held() && (oldest == nil || l.Released.Before(oldest.Released)) {
			oldest = l
		}
	}
	if oldest == nil {
		return nil, fmt.Errorf("%w: all %d addresses of this host's block %s are in use",
			ErrExhausted, a.last()-hostIndex, a.doc.Block4)
	}
	return a.take(oldest.Index, key), nil
}

func (a *Allocator) take(i uint32, key string) *Lease {
	l := a.doc.Leases[i]
	if l == nil || !l.held() {
		l = &Lease{Index: i, Since: a.now()}
		a.doc.Leases[i] = l
	}
	l.Key = key
	return l
}

// last is the highest number handed out: the very last of a block stays unused,
// as .255 does.
func (a *Allocator) last() uint32 {
	return 1<<(32-a.doc.Block4.Bits()) - 2
}

func (a *Allocator) save() error { return state.Save(a.file, a.doc, false) }

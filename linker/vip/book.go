package vip

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"tombolo/internal/state"
)

// ErrFull is returned while the range has no free address for some services.
var ErrFull = errors.New("no service address is free")

// keepFor is how long addresses stay reserved for a service that has ended. Clients that
// have looked the name up before must not reach another service, and an app that is
// submitted again within this time finds its addresses again.
const keepFor = 10 * time.Minute

// ID names a service.
type ID struct{ App, Service string }

func (id ID) String() string { return id.Service + "." + id.App }

// Addrs are the addresses of a service.
type Addrs struct {
	V4 netip.Addr
	V6 netip.Addr // unset without IPv6
}

// Config has the settings of a Book.
type Config struct {
	File   string       // keeps the addresses for the next run
	Range4 netip.Prefix // IPv4 addresses to draw from; unset: no service has addresses
	Range6 netip.Prefix // IPv6 addresses, at least as many; unset: services have none
	Log    *slog.Logger
}

// Book knows the addresses of services. Its methods may be called at the same time.
type Book struct {
	cfg Config

	mu      sync.Mutex
	byID    map[ID]*entry
	taken   map[uint32]bool
	unsaved bool         // the file lacks the last change
	addrs   map[ID]Addrs // the last result of Assign; replaced, never changed
}

// entry is a service and its number. Its addresses are those with that number in the ranges.
type entry struct {
	App     string    `json:"app"`
	Service string    `json:"service"`
	Number  uint32    `json:"number"`
	Ended   time.Time `json:"ended,omitzero"` // zero: the service exists
}

type document struct {
	Services []entry `json:"services"`
}

// Open reads the addresses of the last run. It moves a broken file aside and starts without.
func Open(cfg Config) (*Book, error) {
	b := &Book{cfg: cfg, byID: map[ID]*entry{}, taken: map[uint32]bool{}}
	var doc document
	if err := state.Load(cfg.File, &doc); err != nil {
		if !errors.Is(err, state.ErrBroken) {
			return nil, err
		}
		cfg.Log.Warn("services get new addresses", "err", err)
		return b, nil
	}
	for _, e := range doc.Services {
		id := ID{e.App, e.Service}
		if e.Number == 0 || e.Number >= b.size() || b.taken[e.Number] || b.byID[id] != nil {
			continue // the range is another one now, or the file was edited
		}
		b.byID[id], b.taken[e.Number] = &e, true
	}
	b.addrs = b.result()
	return b, nil
}

// Assign returns the addresses of the live services. Services that are missing from live
// have ended; Assign keeps their addresses for a while. Nobody may change the result, which
// stays the same map while nothing changes.
//
// Errors leave the other services' addresses valid: ErrFull names the services that have no
// address, and an error of the file means that the next run may draw others.
func (b *Book) Assign(live []ID, now time.Time) (map[ID]Addrs, error) {
	if !b.cfg.Range4.IsValid() {
		return nil, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	changed := b.end(live, now)
	var without []string
	for _, id := range live {
		switch e := b.byID[id]; {
		case e == nil:
			if !b.draw(id) {
				without = append(without, id.String())
				continue
			}
			changed = true
		case !e.Ended.IsZero():
			e.Ended, changed = time.Time{}, true
		}
	}
	if changed {
		b.addrs = b.result()
	}
	return b.addrs, errors.Join(b.full(without), b.save(changed))
}

// end marks the services that are missing from live, and forgets those that ended long ago.
func (b *Book) end(live []ID, now time.Time) (changed bool) {
	alive := make(map[ID]bool, len(live))
	for _, id := range live {
		alive[id] = true
	}
	for id, e := range b.byID {
		switch {
		case alive[id]:
		case e.Ended.IsZero():
			e.Ended, changed = now.UTC().Truncate(time.Second), true
		case now.Sub(e.Ended) > keepFor:
			delete(b.byID, id)
			delete(b.taken, e.Number)
			changed = true
		}
	}
	return changed
}

// draw gives id a free number. The search starts at a place that depends on the service's
// name, so that a linker that lost its file draws the same addresses again, as a rule.
func (b *Book) draw(id ID) bool {
	hash := fnv.New32a()
	hash.Write([]byte(id.String()))
	count := b.size() - 1 // without number 0, because some software refuses addresses that end in .0
	if uint32(len(b.taken)) >= count {
		return false
	}
	number := 1 + hash.Sum32()%count
	for b.taken[number] {
		number = 1 + number%count
	}
	b.byID[id], b.taken[number] = &entry{App: id.App, Service: id.Service, Number: number}, true
	return true
}

// size returns the number of addresses in the range.
func (b *Book) size() uint32 {
	if !b.cfg.Range4.IsValid() {
		return 0
	}
	return uint32(1) << min(31, 32-b.cfg.Range4.Bits())
}

func (b *Book) result() map[ID]Addrs {
	addrs := make(map[ID]Addrs, len(b.byID))
	for id, e := range b.byID {
		if e.Ended.IsZero() {
			addrs[id] = Addrs{V4: nth(b.cfg.Range4, e.Number), V6: nth(b.cfg.Range6, e.Number)}
		}
	}
	return addrs
}

// nth returns the address with a number in a range, or the zero Addr for the zero Prefix.
func nth(p netip.Prefix, number uint32) netip.Addr {
	if !p.IsValid() {
		return netip.Addr{}
	}
	raw := p.Masked().Addr().AsSlice()
	last := raw[len(raw)-4:]
	binary.BigEndian.PutUint32(last, binary.BigEndian.Uint32(last)|number)
	addr, _ := netip.AddrFromSlice(raw)
	return addr
}

func (b *Book) full(without []string) error {
	if len(without) == 0 {
		return nil
	}
	slices.Sort(without)
	names := strings.Join(without[:min(3, len(without))], ", ")
	if rest := len(without) - 3; rest > 0 {
		names += fmt.Sprintf(" and %d more", rest)
	}
	return fmt.Errorf("%w in %s: the names of %s lead to the instances", ErrFull, b.cfg.Range4, names)
}

// save writes the file after a change, and again until that succeeds. A power failure may
// cost the last changes: it ends all containers, so that nobody has the addresses any more.
func (b *Book) save(changed bool) error {
	if !changed && !b.unsaved {
		return nil
	}
	var doc document
	for _, id := range slices.SortedFunc(maps.Keys(b.byID), func(x, y ID) int { return strings.Compare(x.String(), y.String()) }) {
		doc.Services = append(doc.Services, *b.byID[id])
	}
	err := state.Save(b.cfg.File, doc, false)
	b.unsaved = err != nil
	return err
}

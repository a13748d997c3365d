package linker

import (
	"context"
	"errors"
	"maps"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tombolo/internal/wake"
	"tombolo/linker/catalog"
	"tombolo/linker/gossip"
	"tombolo/linker/record"
)

// lag measures how long a new container of this host is unknown to the others: the time from its start until the
// last living host has told that its kernel has the policy that includes it. All of it is read from the clock of
// this host. It is too large by the way of the last answer, and by up to askAgain where a question is lost.
//
// It follows one container at a time, so that many that start at once cause no storm of questions.
type lag struct {
	self   string // key of this host
	gossip interface {
		Members() []gossip.Member
		Tell(member string, note []byte)
	}
	catalog interface {
		Snapshot() *record.Snapshot
		Watch() (changes <-chan struct{}, cancel func())
	}
	seconds    prometheus.Histogram
	incomplete prometheus.Counter

	applied atomic.Pointer[record.Snapshot] // that the kernel matches
	changed wake.Signal                     // of applied
	notes   chan lagNote

	// The rest belongs to run.
	begun    time.Time       // of the linker: containers that are older are not measured
	running  map[string]bool // IDs of this host's endpoints that were seen to run
	current  *followed
	measured time.Time             // when the last container was chosen
	waiting  map[lagNote]time.Time // questions of others that are not answered yet, with their ends
}

// followed is the container that is being measured.
type followed struct {
	id      string // of its endpoint
	started time.Time
	silent  map[string]bool // hosts that have not answered
}

const (
	followEvery  = 5 * time.Second // at most one container in this time
	askAgain     = 500 * time.Millisecond
	followAtMost = 30 * time.Second
	maxWaiting   = 1024
)

// lagNote is a question or an answer about a container of a host.
type lagNote struct {
	from     string // who has sent it
	endpoint string // ID
	answer   bool
}

// The types of the notes, beside those of linker/probe. The ID of the endpoint follows.
const (
	noteIsApplied = 3
	noteApplied   = 4
)

var errNoLagNote = errors.New("malformed note about a container")

// isLagNote reports whether a note is for take.
func isLagNote(body []byte) bool {
	return len(body) > 0 && (body[0] == noteIsApplied || body[0] == noteApplied)
}

func newLag(self string, g *gossip.Gossip, c *catalog.Catalog) *lag {
	return &lag{
		self: self, gossip: g, catalog: c, running: map[string]bool{}, changed: wake.NewSignal(), notes: make(chan lagNote, maxWaiting), begun: time.Now(), waiting: map[lagNote]time.Time{},
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "tombolo_convergence_seconds",
			Help:    "Time from the start of a container of this host until the last living host has told that its policy includes it. One container in 5 s is measured.",
			Buckets: []float64{.05, .1, .2, .5, 1, 2, 5, 10, 30},
		}),
		incomplete: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tombolo_convergence_incomplete_total",
			Help: "Containers about which a host that lives has not answered within 30 s.",
		}),
	}
}

// take takes a note of another host. It does not wait: of a flood, most are lost.
func (l *lag) take(from string, body []byte) error {
	if !isLagNote(body) || len(body) < 2 || len(body) > 1+record.MaxID {
		return errNoLagNote
	}
	select {
	case l.notes <- lagNote{from, string(body[1:]), body[0] == noteApplied}:
	default:
	}
	return nil
}

// nowApplied notes that the kernel matches a snapshot.
func (l *lag) nowApplied(s *record.Snapshot) {
	if l.applied.Swap(s) != s {
		l.changed.Notify()
	}
}

func (l *lag) run(ctx context.Context) error {
	fromCatalog, stop := l.catalog.Watch()
	defer stop()
	tick := time.NewTicker(askAgain)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case n := <-l.notes:
			l.note(n)
		case <-l.changed:
			l.answer()
		case <-fromCatalog:
			l.follow(time.Now())
		case <-tick.C:
			l.remind(time.Now())
		}
	}
}

func (l *lag) note(n lagNote) {
	switch {
	case !n.answer && len(l.waiting) < maxWaiting:
		l.waiting[n] = time.Now().Add(followAtMost)
		l.answer()
	case n.answer && l.current != nil && l.current.id == n.endpoint:
		delete(l.current.silent, n.from)
		if len(l.current.silent) == 0 {
			l.seconds.Observe(time.Since(l.current.started).Seconds())
			l.current = nil
		}
	}
}

// answer answers the questions about containers that the policy in the kernel includes.
func (l *lag) answer() {
	s := l.applied.Load()
	if s == nil {
		return
	}
	for n := range l.waiting {
		if ep := s.Endpoints[record.EndpointKey(n.from, n.endpoint)]; ep != nil && ep.Running {
			l.gossip.Tell(n.from, append([]byte{noteApplied}, n.endpoint...))
			delete(l.waiting, n)
		}
	}
}

// follow chooses a container that has just started, if none is being measured. Those that are not chosen at once
// never are, because the time until they are would be taken for theirs.
func (l *lag) follow(now time.Time) {
	running := map[string]bool{}
	var started *record.Endpoint
	for _, ep := range l.catalog.Snapshot().Endpoints {
		if ep.Host != l.self || !ep.Running {
			continue
		}
		running[ep.ID] = true
		if !l.running[ep.ID] && ep.Started.After(l.begun) {
			started = ep
		}
	}
	l.running = running
	if started != nil && l.current == nil && now.Sub(l.measured) >= followEvery {
		l.begin(started, now)
	}
}

func (l *lag) begin(ep *record.Endpoint, now time.Time) {
	silent := map[string]bool{}
	for _, m := range l.gossip.Members() {
		if m.Alive && m.Name != l.self {
			silent[m.Name] = true
		}
	}
	l.measured = now
	if len(silent) == 0 {
		return
	}
	l.current = &followed{id: ep.ID, started: ep.Started, silent: silent}
	l.ask()
}

func (l *lag) ask() {
	for host := range l.current.silent {
		l.gossip.Tell(host, append([]byte{noteIsApplied}, l.current.id...))
	}
}

// remind asks again, and gives up what takes too long: hosts that have died, and containers that have ended.
func (l *lag) remind(now time.Time) {
	maps.DeleteFunc(l.waiting, func(_ lagNote, end time.Time) bool { return now.After(end) })
	if l.current == nil {
		return
	}
	for _, m := range l.gossip.Members() {
		if !m.Alive {
			delete(l.current.silent, m.Name)
		}
	}
	switch {
	case len(l.current.silent) == 0, !l.running[l.current.id]:
		l.current = nil
	case now.Sub(l.current.started) > followAtMost:
		l.incomplete.Inc()
		l.current = nil
	default:
		l.ask()
	}
}

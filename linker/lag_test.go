package linker

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tombolo/internal/scrape"
	"tombolo/internal/wake"
	"tombolo/linker/gossip"
	"tombolo/linker/record"
)

// lagNet are hosts with one catalog, whose kernels follow it after a while.
type lagNet struct {
	t    *testing.T
	mu   sync.Mutex
	lags map[string]*lag
	dead map[string]bool
	lose map[string]int // notes to a host that are lost yet
	snap *record.Snapshot
	wake wake.Broadcast
}

// lagHost is what one host sees of it.
type lagHost struct {
	net  *lagNet
	name string
}

func (h lagHost) Members() (all []gossip.Member) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	for name := range h.net.lags {
		all = append(all, gossip.Member{Name: name, Alive: !h.net.dead[name]})
	}
	return all
}

func (h lagHost) Tell(member string, note []byte) {
	h.net.mu.Lock()
	to, lost := h.net.lags[member], h.net.dead[member]
	if h.net.lose[member] > 0 {
		h.net.lose[member]--
		lost = true
	}
	h.net.mu.Unlock()
	if lost {
		return
	}
	if err := to.take(h.name, note); err != nil {
		h.net.t.Errorf("a note of %s: %v", h.name, err)
	}
}

func (h lagHost) Snapshot() *record.Snapshot {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	return h.net.snap
}

func (h lagHost) Watch() (<-chan struct{}, func()) { return h.net.wake.Watch() }

// lagBubble runs f with n hosts that measure.
func lagBubble(t *testing.T, n int, f func(*lagNet)) {
	synctest.Test(t, func(t *testing.T) {
		w := &lagNet{t: t, lags: map[string]*lag{}, dead: map[string]bool{}, lose: map[string]int{}, snap: &record.Snapshot{}}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		for i := range n {
			name := fmt.Sprint("h", i+1)
			l := newLag(name, nil, nil)
			l.gossip, l.catalog = lagHost{w, name}, lagHost{w, name}
			w.lags[name] = l
		}
		for _, l := range w.lags {
			running.Go(func() { _ = l.run(ctx) })
		}
		time.Sleep(10 * time.Second)
		f(w)
		cancel()
		running.Wait()
	})
}

// start starts a container on h1. The kernels of the other hosts have it after a while each.
func (w *lagNet) start(id string, after map[string]time.Duration) {
	ep := &record.Endpoint{ID: id, Host: "h1", Running: true, Started: time.Now()}
	time.Sleep(time.Millisecond)
	w.mu.Lock()
	w.snap = &record.Snapshot{Endpoints: map[string]*record.Endpoint{ep.Key(): ep}}
	snap := w.snap
	w.mu.Unlock()
	w.wake.Notify()
	for name, d := range after {
		time.AfterFunc(d, func() { w.lags[name].nowApplied(snap) })
	}
}

// measured returns the number of measurements of h1 and their sum, as Prometheus gets them.
func (w *lagNet) measured() (count int, sum time.Duration, incomplete int) {
	w.t.Helper()
	l := w.lags["h1"]
	for _, c := range []prometheus.Collector{l.seconds, l.incomplete} {
		out := httptest.NewRecorder()
		scrape.Server{Collector: c}.Handler().ServeHTTP(out, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		for line := range strings.Lines(out.Body.String()) {
			var seconds float64
			if _, err := fmt.Sscanf(line, "tombolo_convergence_seconds_sum %g", &seconds); err == nil {
				sum = time.Duration(seconds * float64(time.Second))
			}
			_, _ = fmt.Sscanf(line, "tombolo_convergence_seconds_count %d", &count)
			_, _ = fmt.Sscanf(line, "tombolo_convergence_incomplete_total %d", &incomplete)
		}
	}
	return count, sum, incomplete
}

func TestTheLagIsThatOfTheLastHost(t *testing.T) {
	lagBubble(t, 3, func(w *lagNet) {
		w.start("a", map[string]time.Duration{"h1": time.Millisecond, "h2": 20 * time.Millisecond, "h3": 300 * time.Millisecond})
		time.Sleep(2 * time.Second)
		if n, sum, _ := w.measured(); n != 1 || sum < 290*time.Millisecond || sum > 310*time.Millisecond {
			t.Errorf("%d measurements of %s, want one of about 300ms", n, sum)
		}
	})
}

// The linker measures one of the containers that start within 5 s, and later only one that has started since.
func TestTheLagIsMeasuredOnceInAWhile(t *testing.T) {
	lagBubble(t, 2, func(w *lagNet) {
		for i := range 20 {
			w.start(fmt.Sprint("c", i), map[string]time.Duration{"h2": 10 * time.Millisecond})
			time.Sleep(500 * time.Millisecond)
		}
		if n, sum, _ := w.measured(); n < 2 || n > 3 || sum > time.Duration(n)*20*time.Millisecond {
			t.Errorf("%d measurements of %s together, want 2 of about 10ms each", n, sum)
		}
	})
}

func TestAQuestionThatIsLostIsRepeated(t *testing.T) {
	lagBubble(t, 2, func(w *lagNet) {
		w.mu.Lock()
		w.lose["h2"] = 1
		w.mu.Unlock()
		w.start("a", map[string]time.Duration{"h2": 10 * time.Millisecond})
		time.Sleep(2 * time.Second)
		if n, sum, _ := w.measured(); n != 1 || sum > 600*time.Millisecond {
			t.Errorf("%d measurements of %s, want one of at most 600ms", n, sum)
		}
	})
}

func TestHostsThatDoNotAnswer(t *testing.T) {
	lagBubble(t, 3, func(w *lagNet) {
		w.start("a", map[string]time.Duration{"h2": 10 * time.Millisecond}) // h3 lives, and its kernel never has it
		time.Sleep(40 * time.Second)
		if n, _, incomplete := w.measured(); n != 0 || incomplete != 1 {
			t.Errorf("%d measurements, %v incomplete ones; want 0 and 1", n, incomplete)
		}
		w.mu.Lock()
		w.dead["h3"] = true
		w.mu.Unlock()
		w.start("b", map[string]time.Duration{"h2": 10 * time.Millisecond})
		time.Sleep(2 * time.Second)
		if n, sum, incomplete := w.measured(); n != 1 || sum > 100*time.Millisecond || incomplete != 1 {
			t.Errorf("without the dead host, %d measurements of %s (%v incomplete), want one of about 10ms", n, sum, incomplete)
		}
	})
}

func TestMalformedNotesAboutContainersAreRefused(t *testing.T) {
	l := newLag("h1", nil, nil)
	for _, body := range [][]byte{nil, {noteIsApplied}, append([]byte{noteApplied}, make([]byte, record.MaxID+1)...), {9, 'a'}} {
		if err := l.take("h2", body); err == nil {
			t.Errorf("the note %v is taken, want an error", body)
		}
	}
}

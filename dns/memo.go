package dns

import (
	"net/netip"
	"time"

	"tombolo/linker/record"
)

// Bounds of a memo. An asker with many different questions drops only its own answers.
const (
	memoAskers    = 4096
	memoQuestions = 512
	memoAge       = time.Minute // after this, everything is dropped, see sweep
)

// memo keeps packed answers for each asker as long as the asker's view is the same. One goroutine
// uses it.
type memo struct {
	askers map[netip.Addr]*askerMemo
	swept  time.Time
}

type askerMemo struct {
	view    *record.View
	answers map[string]*template
}

func newMemo() *memo {
	return &memo{askers: make(map[netip.Addr]*askerMemo)}
}

// of returns the answers for the asker in its current view.
func (m *memo) of(asker netip.Addr, view *record.View) *askerMemo {
	a := m.askers[asker]
	if a != nil && a.view == view {
		return a
	}
	if a == nil && len(m.askers) >= memoAskers {
		clear(m.askers)
	}
	a = &askerMemo{view: view, answers: make(map[string]*template)}
	m.askers[asker] = a
	return a
}

// sweep drops everything now and then, so that the views of containers that have ended do not stay
// in memory.
func (m *memo) sweep(now time.Time) {
	if now.Sub(m.swept) > memoAge {
		clear(m.askers)
		m.swept = now
	}
}

func (a *askerMemo) put(key []byte, t *template) {
	if len(a.answers) >= memoQuestions {
		clear(a.answers)
	}
	a.answers[string(key)] = t
}

package probe

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// h2's clock is a minute ahead, from the third minute on a second, and then two hours behind.
func TestClocksThatDifferAreFound(t *testing.T) {
	bubble(t, 3, func(w *network) {
		clocks := func() map[string][]Skew {
			w.mu.Lock()
			defer w.mu.Unlock()
			all := map[string][]Skew{}
			for _, h := range w.hosts {
				all[h.name] = h.found.Clocks
			}
			return all
		}
		for _, tt := range []struct {
			ahead time.Duration
			want  map[string][]Skew
		}{
			{0, map[string][]Skew{"h1": nil, "h2": nil, "h3": nil}},
			{time.Minute, map[string][]Skew{"h1": {{"h2", time.Minute}}, "h2": nil, "h3": {{"h2", time.Minute}}}},
			{time.Second, map[string][]Skew{"h1": nil, "h2": nil, "h3": nil}},
			{-2 * time.Hour, map[string][]Skew{"h1": {{"h2", -2 * time.Hour}}, "h2": nil, "h3": {{"h2", -2 * time.Hour}}}},
		} {
			w.set(func() { w.host("h2").ahead = tt.ahead })
			w.rest(time.Minute)
			if diff := cmp.Diff(tt.want, clocks()); diff != "" {
				t.Errorf("h2's clock is %s ahead (-want +got):\n%s", tt.ahead, diff)
			}
		}
	})
}

func TestADifferenceIsKnownUpToHalfOfTheRound(t *testing.T) {
	began := time.Now()
	for _, tt := range []struct {
		ahead, took, want time.Duration // want 0: none
	}{
		{2500 * time.Millisecond, 2 * time.Second, 0}, // 1.5 to 3.5 s
		{3500 * time.Millisecond, 2 * time.Second, 4 * time.Second},
		{-3500 * time.Millisecond, 2 * time.Second, -4 * time.Second},
		{10 * time.Second, time.Millisecond, 10 * time.Second},
	} {
		var c clock
		c.observe(began.Add(tt.took/2+tt.ahead), began, tt.took)
		if c.ahead != tt.want || (c.rounds == 1) != (tt.want != 0) {
			t.Errorf("an answer %s ahead after %s is taken for %+v, want %s", tt.ahead, tt.took, c, tt.want)
		}
	}
}

// A difference that is measured a bit differently each time is one, not many.
func TestADifferenceIsSteady(t *testing.T) {
	began := time.Now()
	var c clock
	for i, ahead := range []time.Duration{10e9, 10.9e9, 9.2e9, 10.6e9} {
		c.observe(began.Add(ahead+100*time.Millisecond), began, 200*time.Millisecond)
		if c.ahead != 10*time.Second {
			t.Errorf("after %d measurements the difference is %s, want 10s", i+1, c.ahead)
		}
	}
}

package wake

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSignalsCountAsOne(t *testing.T) {
	s := NewSignal()
	s.Notify()
	s.Notify()
	<-s
	select {
	case <-s:
		t.Error("a second notification was received, want the two to count as one")
	default:
	}
}

func TestBroadcast(t *testing.T) {
	var b Broadcast
	first, cancelFirst := b.Watch()
	second, cancelSecond := b.Watch()
	defer cancelSecond()
	<-first // a new watcher is told to look
	<-second
	b.Notify()
	<-first
	<-second
	cancelFirst()
	b.Notify()
	<-second
	select {
	case <-first:
		t.Error("a watcher was told of a change after it had stopped watching")
	default:
	}
}

func TestQueueKeepsTheOrder(t *testing.T) {
	q := NewQueue[int]()
	for i := range 3 {
		if got := q.Put(i); got != i+1 {
			t.Errorf("Put(%d) says that %d values wait, want %d", i, got, i+1)
		}
	}
	<-q.Ready()
	if diff := cmp.Diff([]int{0, 1, 2}, q.Take()); diff != "" {
		t.Errorf("values taken (-want +got):\n%s", diff)
	}
	if got := q.Take(); len(got) != 0 {
		t.Errorf("a second Take returned %v, want nothing", got)
	}
}

func TestBackoffDoublesUpToTheLongest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBackoff(time.Second, 4*time.Second)
		pause := func() time.Duration {
			start := time.Now()
			if !b.Wait(t.Context()) {
				t.Fatal("Wait returned false although the context lives")
			}
			return time.Since(start)
		}
		for i, want := range []time.Duration{1, 2, 4, 4} {
			want *= time.Second
			if got := pause(); got < want*3/4 || got > want*5/4 {
				t.Errorf("pause %d took %s, want %s give or take a quarter", i+1, got, want)
			}
		}
		b.Reset()
		if got := pause(); got > 2*time.Second {
			t.Errorf("the pause after Reset took %s, want the first one again", got)
		}
	})
}

func TestPausesEndWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if Sleep(ctx, time.Hour) {
			t.Error("Sleep returned true although its context ended")
		}
		if got := time.Since(start); got != time.Second {
			t.Errorf("Sleep took %s, want it to end with its context after 1s", got)
		}
		if NewBackoff(time.Hour, time.Hour).Wait(ctx) {
			t.Error("Wait returned true although its context had ended")
		}
	})
}

package master

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// inLoop runs a test on the loop's goroutine, and then the loop for d.
func inLoop(t *testing.T, d time.Duration, test func(*loop)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := newLoop()
		l.post(func() { test(l) })
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		l.run(ctx)
	})
}

func TestTimersRunInTheOrderOfTheirTimes(t *testing.T) {
	var got []int
	inLoop(t, time.Minute, func(l *loop) {
		for _, seconds := range []int{3, 1, 2} {
			l.after(time.Duration(seconds)*time.Second, func() { got = append(got, seconds) })
		}
	})
	if want := []int{1, 2, 3}; !slices.Equal(got, want) {
		t.Errorf("timers ran in the order %v, want %v", got, want)
	}
}

func TestStoppedTimerDoesNotRun(t *testing.T) {
	inLoop(t, time.Minute, func(l *loop) {
		var none *timer
		none.stop()
		l.after(time.Second, func() { t.Error("a timer ran although it was stopped at once") }).stop()
		inInbox := l.after(time.Second, func() { t.Error("a timer ran although it was stopped while it was in the inbox") })
		time.Sleep(2 * time.Second) // the loop is busy meanwhile
		inInbox.stop()
	})
}

func TestAskFailsWhenTheLoopHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLoop()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		l.run(ctx)
		if _, err := ask(t.Context(), l, func() bool { return true }); !errors.Is(err, errStopped) {
			t.Errorf("ask returned the error %v, want %v", err, errStopped)
		}
	})
}

package master

import (
	"container/heap"
	"time"
)

// timers runs functions at their time on the goroutine that owns it.
type timers struct{ queue timerQueue }

// timer is one planned function. The zero of *timer is "none".
type timer struct {
	at    time.Time
	run   func()
	index int // in the queue; -1 when it is not in it
}

// idle is how long to sleep with nothing planned: any message wakes the owner.
const idle = time.Hour

// after plans run in d.
func (t *timers) after(d time.Duration, run func()) *timer {
	n := &timer{at: time.Now().Add(d), run: run}
	heap.Push(&t.queue, n)
	return n
}

// stop takes a timer out; nil and what has fired are harmless.
func (t *timers) stop(n *timer) {
	if n != nil && n.index >= 0 {
		heap.Remove(&t.queue, n.index)
	}
}

// next returns a timer for the first function planned.
func (t *timers) next() *time.Timer {
	if len(t.queue) == 0 {
		return time.NewTimer(idle)
	}
	return time.NewTimer(time.Until(t.queue[0].at))
}

// fire runs all that is due.
func (t *timers) fire(now time.Time) {
	for len(t.queue) > 0 && !t.queue[0].at.After(now) {
		heap.Pop(&t.queue).(*timer).run()
	}
}

type timerQueue []*timer

func (q timerQueue) Len() int           { return len(q) }
func (q timerQueue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }

func (q timerQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *timerQueue) Push(x any) {
	n := x.(*timer)
	n.index = len(*q)
	*q = append(*q, n)
}

func (q *timerQueue) Pop() any {
	old := *q
	n := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	n.index = -1
	return n
}

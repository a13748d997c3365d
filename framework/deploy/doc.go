// Package deploy decides what comes next for one app: which slots get a task,
// which tasks end, and what everything else waits for.
//
//	            Plan               the framework                the cluster
//	wanted ───┐
//	tasks  ───┼──▶ launch, kill, ──▶ place, store, ──▶ ACCEPT, ──▶ updates, health
//	slots  ───┤    forget, wait      send               KILL            │
//	now    ───┘        ▲                                                │
//	                   └────────────────────────────────────────────────┘
//
// It is pure: no I/O, no clock, no memory between calls. What it promises, and
// its tests hold it to: a slot that has a live task gets no other; the older of
// two generations ends; nothing is launched for an app that is being removed; a
// service starts after what it depends on and ends before it; of a service that
// changes one instance at a time is replaced.
package deploy

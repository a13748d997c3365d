// Package deploy decides what happens next to one app: which slots get a task, which
// tasks are killed, and what the other slots wait for. Start reading at Next.
//
//	                 Plan            the framework             the cluster
//	wanted app ─┐
//	tasks      ─┼──▶ launch, kill, ──▶ place, store, ──▶ ACCEPT, ──▶ updates, health
//	slots      ─┤    forget, wait      send               KILL            │
//	now        ─┘        ▲                                                │
//	                     └────────────────────────────────────────────────┘
//
// Its tests hold it to these promises: a slot with a live task gets no other task; of two
// generations of a slot the older one is killed; an app that is being removed gets no
// task; a service starts after its dependencies, and is killed before them; when a
// service changes, its instances are replaced one at a time.
//
// It does not choose hosts (package place), and sends nothing. It is pure: no I/O, no
// clock, no memory between calls.
package deploy

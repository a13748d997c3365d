// Package framework is the scheduler: it makes a cluster run the apps that it was
// given.
//
//	   commands (api)     catalogs (linkers)    events (master)   timers
//	         └──────────────────┴───────┬──────────────┴────────────┘
//	                                    ▼
//	                  ┌── one goroutine: take what came ──┐
//	                  │   deploy.Next: launch, kill, wait │
//	                  │   place.Place: who goes where     │
//	                  │   store.Commit                    │
//	                  └── then, and only then: ───────────┘
//	       ┌──────────────────┬─────────┴─────────┬──────────────────┐
//	       ▼                  ▼                   ▼                  ▼
//	calls (courier)   app records (couriers)   replies          api.Snapshot
//
// It owns what is wanted and what is known of tasks, and writes both ahead of what
// follows from them: a task is stored before its ACCEPT, an update before its
// acknowledgement. It never touches a host: containers are the agents' business,
// addresses and names the linkers'.
package framework

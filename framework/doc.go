// Package framework is the scheduler: it makes a cluster run the apps that it was
// given.
//
// One goroutine, Framework.loop, owns all state. The others bring it work through a
// queue of functions, or take work from it through queues of their own:
//
//	 API requests    linkerConn.watch   Framework.subscribe   updater.readLastLines
//	 PutApp, ...     catalogs           events of the master  output of ended tasks
//	      └───────────────┴────────┬─────────┴──────────────────────┘
//	                               ▼ wake.Queue[func()]                   timer
//	┌─────────────────── Framework.loop ───────────────────┐                │
//	│ 1 run the queued functions: they change the model    │◀───────────────┘
//	│ 2 decide: deploy.Next says what to launch and kill,  │
//	│   place.Place where; offers.Book, reconciler and     │
//	│   appRecords say what to tell the master and linkers │
//	│ 3 store.Commit makes it durable                      │
//	│ 4 publish the api.Snapshot                           │
//	│ 5 only now let the outbox go                         │
//	└──────┬────────────────────┬────────────────────┬─────┘
//	       ▼                    ▼                    ▼
//	callQueue.run        linkerConn.deliver    replies to API requests
//	calls to the master  app records
//
// Each change of the model marks the apps that it touches; a decision plans, describes to
// linkers and publishes only those (model.due). A change of the subscription, of a catalog or
// of a host's agent marks all.
//
// The order makes it crash-safe: a task is stored before its ACCEPT is sent, an update
// before its acknowledgement. The package never touches a host: agents run containers,
// linkers hand out addresses and names. Start reading at Framework.decide; the state is
// in model.
package framework

// Package master is the master of the embedded cluster. It speaks the Mesos v1
// scheduler HTTP API, and for operators the part of the Mesos API that takes an agent
// out of service.
//
// It owns offers, task states, status updates until they are acknowledged, and the
// identities of agents and frameworks. It never touches Docker, and knows neither
// Compose files nor the overlay. To a framework it differs from Apache Mesos only as
// testdata/deviations.txt lists.
//
// One goroutine, loop.run, owns all state. All other goroutines post functions to it:
//
//	HTTP handlers ──post, ask──▶ ┌──────┐ ──local.Agent.Send──▶ agents
//	              ◀──stream.send─│ loop │ ◀──Master.Send─────── agents
//	timers ───────post─────────▶ └──────┘
//
// Start reading at Master, which wires the parts:
//
//	registry       which frameworks and agents exist, on disk too
//	subscriptions  states of frameworks: SUBSCRIBE, disconnection, removal
//	membership     states of agents: registration, disconnection, loss
//	allocator      offers: which framework gets which resources, and for how long
//	taskBook       tasks, and the delivery of their status updates
//	launcher       ACCEPT
//	taskCalls      KILL, SHUTDOWN and RECONCILE
//	server         HTTP
package master

// Package master is the master of the embedded cluster: it speaks the Mesos v1
// scheduler HTTP API and directs the agents that registered with it.
//
// It owns offers, task states, status updates until they are acknowledged, and the
// identities of agents and frameworks. It never touches Docker, and knows neither
// Compose nor the overlay.
package master

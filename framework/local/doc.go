// Package local is the embedded cluster: a master that speaks the Mesos v1
// scheduler HTTP API and, in the same process, one Docker agent per host.
//
// It owns what a master and its agents own: offers, task states, status updates
// until they are acknowledged, agent and framework identities. It never knows
// Compose, apps or the overlay; a framework cannot tell it from Apache Mesos but
// by what testdata/deviations.txt lists.
package local

// Package frameworktest simulates a cluster in memory for tests of the framework: a master,
// agents that launch no containers, linkers, and the failures of all of them. Everything
// that a framework can notice is as with the Apache Mesos in the recordings of
// mesos/mesostest: updates are repeated until they are acknowledged, a restarted master
// knows a task only once its agent is back, and lost tasks return.
//
// It also watches the framework. A task that is launched into a slot where another one
// lives, or for an app that was removed, is a violation. Start reading at Cluster.
package frameworktest

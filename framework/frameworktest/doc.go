// Package frameworktest is a cluster in memory for tests of the framework: a
// master with agents that launch nothing, their hosts' linkers, and the trouble
// that all of them can be in. It behaves like the recorded Apache Mesos where the
// framework can tell: updates come again until they are acknowledged, a master
// that has restarted knows no task before its agent is back, lost tasks return.
//
// It watches the framework too: a task launched into a slot where another one
// lives, or for an app that is to be gone, is a Violation.
package frameworktest

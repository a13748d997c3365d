// Package localtest lists how the master and the agent differ from the Apache Mesos of
// the recordings, and holds their replay tests to the lists.
package localtest

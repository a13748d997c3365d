// Package cluster joins a master and its agents in one process: the embedded
// cluster.
package cluster

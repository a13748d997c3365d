// Package cluster is the embedded cluster: a master and its agents in one process.
//
// It only composes framework/local/master and framework/local/agent; read those for
// what they do.
package cluster

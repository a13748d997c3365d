// Package store keeps the state that a framework needs after a crash: its ID, the wanted
// apps, the tasks that it has launched, the history of every slot, and the hosts of
// volumes.
//
// The framework collects changes in a Batch. Commit writes a Batch as a whole or not at
// all, and the Batch is durable when Commit returns. Only then does the framework do what
// follows from it: a task is stored before its ACCEPT, an update before its
// acknowledgement.
//
// The package owns the keys and their encoding and decides nothing. A Backend holds the
// bytes; bbolt is the one for a single machine. The keys are paths, one for each app and
// task, so that ZooKeeper can be another. Start reading at State.
package store

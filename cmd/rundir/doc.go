// Package rundir owns the run folder, /run/tombolo: the names of the sockets in it and
// the lock of the one process that may serve the framework's API there. That process
// writes into the lock what it is, so that a command knows what it can ask of it.
//
// The package starts and stops no process. Start reading at Dir.Lock.
package rundir

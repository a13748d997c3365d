// Package supervise keeps a process answering: a small parent starts the real one
// as its child, and kills and restarts it when its heartbeats stop. A plugin that
// is alive but stuck hangs Docker for ever; a dead one does not.
//
// The parent does nothing else, so that it has nothing to get stuck in. When it
// dies, the kernel kills the child: there are never two.
package supervise

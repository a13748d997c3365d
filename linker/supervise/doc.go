// Package supervise keeps a process answering: a small parent starts the real one
// as its child, and kills and restarts it when its heartbeats stop. A plugin that
// is alive but stuck hangs Docker for ever; a dead one does not.
//
// In a unit of systemd's with Type=notify the parent says READY=1 with the child's
// heartbeats, and WATCHDOG=1 as long as it can see to the child itself, so that systemd
// ends a parent which is stuck. NotifyAccess=main is enough: the child is silent.
//
// The parent does nothing else, so that it has nothing to get stuck in. When it
// dies, the kernel kills the child: there are never two.
package supervise

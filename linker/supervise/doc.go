// Package supervise keeps a process answering. A small parent starts the real program as
// its child, and kills and restarts it when the child's heartbeats stop. Docker waits for
// ever for a plugin that is alive but stuck; it copes with one that is dead.
//
// The parent does nothing else, so that nothing can make it stuck. If it dies, the kernel
// kills the child: there are never two children.
//
// In a systemd unit with Type=notify, the parent sends READY=1 when the child sends
// heartbeats, and WATCHDOG=1 while the parent itself runs, so that systemd ends a parent
// that is stuck. NotifyAccess=main is enough, because the child sends nothing.
//
// Start reading at Run, for the parent, and at SendHeartbeats, for the child.
package supervise

// Package agent is an agent of the embedded cluster: a Mesos agent and its Docker
// executors for the Docker Engine of one host. It runs each task that the master
// launches as one container.
//
// It owns its tasks, their containers, sandboxes and checkpoints. It never makes
// offers, never speaks to a framework, and never touches a container that it did not
// start.
//
// One goroutine, Agent.Run, owns the agent's state. One runner per task starts, follows
// and ends the task's container, and the watcher follows the events of the Engine:
//
//	master ──Agent.Send──▶ ┌─────┐ ──kill, lookAgain──▶ runner ──docker pull,──▶ Engine
//	       ◀──Master.Send─ │ Run │ ◀──Report──────────── runner   run, stop, logs
//	                       └─────┘ ◀──inbox───────────── watcher ◀──events────── Engine
//
// The agent is registered with the master only while its Engine answers. Its WorkDir
// has a checkpoint of every task, so that a later agent on the same WorkDir takes over
// the containers.
//
// Start reading at Agent; decide has the life of a container in one function.
//
// The agent differs from Mesos' Docker containerizer and executor in these points
// (recordings 02, 02b, 06c and 07; replay_test.go names the tasks):
//   - Docker's own message follows "Container exited with status 125" and the like,
//     and comes without the five seconds that Mesos waits.
//   - A task ends when its container does. With --detach, --restart, docker restart or
//     a docker command that dies, Mesos reports the end of the docker command instead.
//   - The agent removes only those containers without a task that it started itself.
//   - It removes the container of a killed task before it sends TASK_KILLED, and any
//     other after the acknowledgement and the RemoveDelay. Mesos waits six hours.
//   - It refuses URIs, and ignores health_check, check and max_completion_time.
package agent

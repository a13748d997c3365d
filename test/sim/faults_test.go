package sim

import (
	"fmt"
	"time"
)

// faults are the things that happen, and how often, beside each other.
var faults = []struct {
	weight int
	do     func(*scenario) string
}{
	{8, (*scenario).loseHost},
	{8, (*scenario).returnHost},
	{4, (*scenario).stopLinker},
	{4, (*scenario).startLinker},
	{4, (*scenario).restartMaster},
	{4, (*scenario).dropSession},
	{2, (*scenario).failCalls},
	{2, (*scenario).refuseAccepts},
	{3, (*scenario).occupy},
	{2, (*scenario).trouble},
	{2, (*scenario).breakEngine},
	{8, (*scenario).endTask},
	{6, (*scenario).kill},
	{8, (*scenario).crash},
	{6, (*scenario).crashInCommand},
	{2, (*scenario).sayNewer},
	{1, (*scenario).removeFramework},
	{8, (*scenario).putRandom},
	{12, (*scenario).change},
	{4, (*scenario).putAgain},
	{5, (*scenario).removeRandom},
}

func (s *scenario) host() string { return s.hosts[s.random.IntN(len(s.hosts))] }

func (s *scenario) seconds(limit int) time.Duration {
	return time.Duration(s.random.IntN(limit*1000)) * time.Millisecond
}

func (s *scenario) loseHost() string {
	host := s.host()
	if len(s.gone) == len(s.hosts)-1 || s.gone[host] {
		return ""
	}
	s.gone[host] = true
	if s.random.IntN(2) == 0 {
		s.cluster.KillHost(host)
		return "kill " + host
	}
	s.cluster.Partition(host)
	return "cut off " + host
}

func (s *scenario) returnHost() string {
	host := s.host()
	if !s.gone[host] {
		return ""
	}
	delete(s.gone, host)
	if s.random.IntN(5) == 0 {
		s.cluster.ReturnAnew(host)
		return host + " returns with another agent"
	}
	s.cluster.Return(host)
	return host + " returns"
}

func (s *scenario) stopLinker() string {
	host := s.host()
	s.cluster.StopLinker(host)
	return "stop the linker of " + host
}

func (s *scenario) startLinker() string {
	host := s.host()
	s.cluster.StartLinker(host)
	return "start the linker of " + host
}

func (s *scenario) restartMaster() string {
	down := s.seconds(20)
	s.cluster.RestartMaster(down)
	return fmt.Sprintf("the master fails over in %v", down)
}

func (s *scenario) dropSession() string {
	s.cluster.DropSession()
	return "the subscription breaks"
}

func (s *scenario) failCalls() string {
	d := s.seconds(30)
	s.cluster.FailCalls(d)
	return fmt.Sprintf("calls fail for %v", d)
}

func (s *scenario) refuseAccepts() string {
	refuse := s.random.IntN(2) == 0
	s.cluster.RefuseAccepts(refuse)
	return fmt.Sprintf("the master refuses launches: %v", refuse)
}

func (s *scenario) occupy() string {
	host := s.host()
	cpus := float64(s.random.IntN(8)) - s.busy[host]
	s.busy[host] += cpus
	s.cluster.Occupy(host, cpus)
	return fmt.Sprintf("another framework uses %v CPUs of %s", s.busy[host], host)
}

func (s *scenario) trouble() string {
	host := s.host()
	if s.random.IntN(2) == 0 {
		s.cluster.Trouble(host)
		return "the linker of " + host + " is ready"
	}
	s.cluster.Trouble(host, "the pool is taken")
	return "the linker of " + host + " is not ready"
}

func (s *scenario) breakEngine() string {
	host, broken := s.host(), s.random.IntN(2) == 0
	s.cluster.BreakEngine(host, broken)
	return fmt.Sprintf("the Engine of %s does not answer: %v", host, broken)
}

func (s *scenario) endTask() string {
	running := sorted(s.cluster.Running())
	if len(running) == 0 {
		return ""
	}
	id := running[s.random.IntN(len(running))]
	s.cluster.EndTask(id)
	return "end " + id
}

func (s *scenario) sayNewer() string {
	running := sorted(s.cluster.Running())
	if len(running) == 0 {
		return ""
	}
	id := running[s.random.IntN(len(running))]
	s.cluster.SayNewer(id)
	return "the master sends what only newer programs understand, about " + id
}

func (s *scenario) kill() string {
	s.restart(s.downtime())
	return "the framework was killed"
}

func (s *scenario) crash() string {
	n, lose := 1+s.random.IntN(6), s.random.IntN(2) == 0
	s.memory.CrashAfter(n, lose)
	s.armed = true
	return fmt.Sprintf("the framework ends at the write %d from now, which is lost: %v", n, lose)
}

// crashInCommand ends the framework at the write that a command makes, which is lost. The command
// then has no effect, and must not have been answered.
func (s *scenario) crashInCommand() string {
	s.pass(time.Minute) // no other write is likely then
	s.memory.CrashAfter(1, true)
	s.armed = true
	command := []func(*scenario) string{(*scenario).change, (*scenario).removeRandom, (*scenario).putRandom}[s.random.IntN(3)]
	return command(s) + ", and the framework ends at the first write, which is lost"
}

func (s *scenario) removeFramework() string {
	s.cluster.RemoveFramework()
	return "the master removes the framework"
}

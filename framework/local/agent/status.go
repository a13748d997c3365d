package agent

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// defaultGrace is the grace period of a kill without a kill policy (recorded: docker
// stop -t 5).
const defaultGrace = 5 * time.Second

// exitStatus returns the terminal update for a container's exit status, in Mesos' words.
// For a container that docker could not start, why has docker's message, which Mesos
// leaves out.
func exitStatus(code int, why string) mesos.TaskStatus {
	state := mesos.TASK_FAILED
	if code == 0 {
		state = mesos.TASK_FINISHED
	}
	message := "Container exited with status " + strconv.Itoa(code)
	if why != "" {
		message += ": " + why
	}
	return mesos.TaskStatus{State: state.Enum(), Message: &message}
}

// launchFailed returns the update for a task that failed before docker run.
func launchFailed(err error) mesos.TaskStatus {
	return mesos.TaskStatus{
		State:   mesos.TASK_FAILED.Enum(),
		Source:  mesos.SOURCE_AGENT.Enum(),
		Reason:  mesos.REASON_CONTAINER_LAUNCH_FAILED.Enum(),
		Message: new("Failed to launch container: " + err.Error()),
	}
}

// runningStatus returns TASK_RUNNING with the output of docker inspect and the
// container's addresses.
func runningStatus(task mesos.TaskInfo, c Container) mesos.TaskStatus {
	info := mesos.NetworkInfo{}
	if infos := task.GetContainer().GetNetworkInfos(); len(infos) == 1 &&
		task.Container.Docker.GetNetwork() == mesos.ContainerInfo_DockerInfo_USER {
		info = infos[0]
	}
	info.IPAddresses = nil
	for _, a := range containerAddresses(c, info.GetName()) {
		info.IPAddresses = append(info.IPAddresses, ipAddress(a.String()))
	}
	return mesos.TaskStatus{
		State:           mesos.TASK_RUNNING.Enum(),
		Data:            c.JSON,
		ContainerStatus: &mesos.ContainerStatus{NetworkInfos: []mesos.NetworkInfo{info}},
	}
}

// containerAddresses returns the addresses on the named network, or if there are none,
// on the first network that has any. A container on the network "host" or "none" has
// no addresses.
func containerAddresses(c Container, network string) []netip.Addr {
	if addrs := c.Networks[network]; len(addrs) > 0 {
		return addrs
	}
	for _, name := range slices.Sorted(maps.Keys(c.Networks)) {
		if addrs := c.Networks[name]; len(addrs) > 0 {
			return addrs
		}
	}
	return nil
}

func ipAddress(s string) mesos.NetworkInfo_IPAddress {
	protocol := mesos.IPv4
	if a, err := netip.ParseAddr(s); err == nil && a.Is6() {
		protocol = mesos.IPv6
	}
	return mesos.NetworkInfo_IPAddress{Protocol: protocol.Enum(), IPAddress: &s}
}

func killGrace(p *mesos.KillPolicy) time.Duration {
	if p == nil || p.GracePeriod == nil {
		return defaultGrace
	}
	return time.Duration(p.GracePeriod.Nanoseconds)
}

package agent

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// The Docker containerizer's constants (src/docker/docker.cpp, src/slave/constants.hpp).
const (
	sandboxMount  = "/mnt/mesos/sandbox"
	namePrefix    = "mesos-"
	minCPUShares  = 2
	cpuSharesUnit = 1024
	cfsPeriodUsec = 100_000
	minMemBytes   = 32 << 20
	mebibyte      = 1 << 20
)

// dockerRun describes the docker run of a task.
type dockerRun struct {
	Host        string // for docker's -H; empty: without -H
	Task        mesos.TaskInfo
	ContainerID string
	Sandbox     string // the task's folder on the host
	MemTotal    int64  // of the host, in bytes; zero: unknown
}

// dockerArgs returns the arguments of the docker command that runs a task, and its secrets.
// The order of the arguments, their rounding and the texts of the errors are those of Mesos'
// Docker containerizer (Docker::RunOptions::create, Docker::run), which passes the secrets as
// arguments, too.
func dockerArgs(r dockerRun) ([]string, secrets, error) {
	b := argsBuilder{run: r, docker: r.Task.GetContainer().GetDocker()}
	if b.docker == nil {
		return nil, secrets{}, errors.New("No docker info found in container info")
	}
	b.add(hostArgs(r.Host)...)
	b.add("run")
	if b.docker.GetPrivileged() {
		b.add("--privileged")
	}
	b.cpu()
	b.memory()
	for _, step := range []func() error{b.environment, b.volumes, b.network, b.ports, b.command} {
		if err := step(); err != nil {
			return nil, secrets{}, err
		}
	}
	return b.args, b.secrets, nil
}

func hostArgs(host string) []string {
	if host == "" {
		return nil
	}
	return []string{"-H", host}
}

// argsBuilder is the state of dockerArgs.
type argsBuilder struct {
	run        dockerRun
	docker     *mesos.ContainerInfo_DockerInfo
	parameters []mesos.Parameter // those of the task, without the one that became --net
	args       []string
	secrets    secrets
}

func (b *argsBuilder) add(args ...string) { b.args = append(b.args, args...) }

func (b *argsBuilder) cpu() {
	if cpus := scalar(b.run.Task.Resources, "cpus"); cpus > 0 {
		b.add("--cpu-shares", strconv.Itoa(max(int(cpus*cpuSharesUnit), minCPUShares)))
	}
	if limit, ok := b.run.Task.Limits["cpus"]; ok && !math.IsInf(limit.Value, 1) {
		b.add("--cpu-quota", strconv.Itoa(int(limit.Value*cfsPeriodUsec)))
	}
}

func (b *argsBuilder) memory() {
	request := scalar(b.run.Task.Resources, "mem")
	if request <= 0 {
		return
	}
	reserved := max(int64(request*mebibyte), minMemBytes)
	limit, limited := b.run.Task.Limits["mem"]
	if !limited {
		b.add("--memory", strconv.FormatInt(reserved, 10))
		return
	}
	b.add("--memory-reservation", strconv.FormatInt(reserved, 10))
	if !math.IsInf(limit.Value, 1) {
		b.add("--memory", strconv.FormatInt(max(int64(limit.Value*mebibyte), minMemBytes), 10))
	}
	if limit.Value > request {
		b.add("--oom-score-adj", strconv.Itoa(oomScoreAdj(reserved, b.run.MemTotal)))
	}
}

// oomScoreAdj makes the kernel end burstable tasks first, and of these the ones with the
// smallest requests (src/slave/containerizer/mesos/utils: calculateOOMScoreAdj). request
// and total are in bytes; total is zero if it is unknown.
func oomScoreAdj(request, total int64) int {
	if total <= 0 {
		return 999
	}
	return min(max(1000-int(1000*request/total), 2), 999)
}

func (b *argsBuilder) environment() error {
	env := map[string]string{}
	for _, v := range b.run.Task.GetCommand().GetEnvironment().GetVariables() {
		env[v.Name] = v.GetValue() // a secret has no value
	}
	env["MESOS_SANDBOX"] = sandboxMount
	env["MESOS_CONTAINER_NAME"] = namePrefix + b.run.ContainerID
	if role := allocationRole(b.run.Task.Resources); role != "" {
		env["MESOS_ALLOCATION_ROLE"] = role
	}
	flags, err := b.secrets.variables(env, slices.Sorted(maps.Keys(env)))
	b.add(flags...)
	return err
}

// volumes adds the volumes and the sandbox. One docker run has one volume driver.
func (b *argsBuilder) volumes() error {
	driver := b.docker.GetVolumeDriver()
	for _, v := range b.run.Task.Container.Volumes {
		source, own, ok := volumeSource(v)
		if !ok {
			continue
		}
		if own != "" && driver != "" && own != driver {
			return errors.New("Only one volume driver is supported")
		}
		driver = cmp.Or(own, driver)
		isVolume := v.Source != nil || driver != ""
		if !isVolume && !path.IsAbs(source) {
			source = path.Join(b.run.Sandbox, source)
		}
		target := v.ContainerPath
		if !path.IsAbs(target) {
			target = path.Join(sandboxMount, target)
		}
		b.add("-v", source+":"+target+":"+strings.ToLower(v.GetMode().String()))
	}
	b.add("-v", b.run.Sandbox+":"+sandboxMount)
	if driver != "" {
		b.add("--volume-driver=" + driver)
	}
	return nil
}

// volumeSource returns the part of -v before the colon, and the driver that the volume
// names. ok is false for every source but host_path and DOCKER_VOLUME: Mesos ignores
// those.
func volumeSource(v mesos.Volume) (source, driver string, ok bool) {
	if dv := v.GetSource().GetDockerVolume(); dv != nil && v.Source.Type == mesos.Volume_Source_DOCKER_VOLUME {
		return dv.Name, dv.GetDriver(), true
	}
	if v.Source == nil && v.HostPath != nil {
		return *v.HostPath, "", true
	}
	return "", "", false
}

func (b *argsBuilder) network() error {
	name, err := networkName(b.docker, b.run.Task.Container.NetworkInfos)
	if err != nil {
		return err
	}
	b.parameters = slices.Clone(b.docker.Parameters)
	isNet := func(p mesos.Parameter) bool { return p.Key == "net" || p.Key == "network" }
	if i := slices.IndexFunc(b.parameters, isNet); i >= 0 {
		name = b.parameters[i].Value
		b.parameters = slices.Delete(b.parameters, i, i+1)
	}
	b.add("--net", name)
	if hostname := b.run.Task.Container.GetHostname(); hostname != "" {
		if name == "host" {
			return errors.New("Unable to set hostname with host network mode")
		}
		b.add("--hostname", hostname)
	}
	return nil
}

func networkName(d *mesos.ContainerInfo_DockerInfo, infos []mesos.NetworkInfo) (string, error) {
	if d.GetNetwork() != mesos.ContainerInfo_DockerInfo_USER {
		return strings.ToLower(d.GetNetwork().String()), nil
	}
	switch {
	case len(infos) == 0:
		return "", errors.New("No network info found in container info")
	case len(infos) > 1:
		return "", errors.New("Only a single network can be defined in Docker run")
	case infos[0].GetName() == "":
		return "", errors.New("No network name found in network info")
	}
	return infos[0].GetName(), nil
}

func (b *argsBuilder) ports() error {
	offered := portRanges(b.run.Task.Resources)
	switch n := b.docker.GetNetwork(); {
	case len(b.docker.PortMappings) == 0:
		return nil
	case n != mesos.ContainerInfo_DockerInfo_BRIDGE && n != mesos.ContainerInfo_DockerInfo_USER:
		return errors.New("Port mappings are only supported for bridge and user-defined networks")
	case offered == nil:
		return errors.New("Port mappings require port resources")
	}
	for _, m := range b.docker.PortMappings {
		within := func(r mesos.Value_Range) bool { return r.Begin <= uint64(m.HostPort) && uint64(m.HostPort) <= r.End }
		if !slices.ContainsFunc(offered, within) {
			return fmt.Errorf("Port [%d] not included in resources", m.HostPort)
		}
		p := fmt.Sprintf("%d:%d", m.HostPort, m.ContainerPort)
		if m.GetProtocol() != "" {
			p += "/" + strings.ToLower(m.GetProtocol())
		}
		b.add("-p", p)
	}
	return nil
}

func (b *argsBuilder) command() error {
	c := b.run.Task.GetCommand() // a nil command is one for the shell
	var tail []string
	switch {
	case c.GetShell() && (c == nil || c.Value == nil):
		return errors.New("Shell specified but no command value provided")
	case c.GetShell():
		b.add("--entrypoint", "/bin/sh")
		tail = []string{"-c", *c.Value}
	case c.Value != nil:
		tail = append([]string{*c.Value}, c.Arguments...)
	default:
		tail = c.Arguments
	}
	b.add("--name", namePrefix+b.run.ContainerID)
	var labels []string
	for _, p := range b.parameters {
		if p.Key == "label" {
			labels = append(labels, p.Value)
		} else {
			b.add("--" + p.Key + "=" + p.Value)
		}
	}
	b.add(b.secrets.labels(labels)...)
	b.add(b.docker.Image)
	b.add(tail...)
	return nil
}

// scalar returns the sum of the resources of one name, which reservations may have split.
func scalar(rs []mesos.Resource, name string) float64 {
	sum := 0.0
	for _, r := range rs {
		if r.Name == name {
			sum += r.GetScalar().GetValue()
		}
	}
	return sum
}

// portRanges returns all ranges of ports, or nil if there are none.
func portRanges(rs []mesos.Resource) (all []mesos.Value_Range) {
	for _, r := range rs {
		if r.Name == "ports" {
			all = append(all, r.GetRanges().GetRange()...)
		}
	}
	return all
}

func allocationRole(rs []mesos.Resource) string {
	for _, r := range rs {
		if role := r.GetAllocationInfo().GetRole(); role != "" {
			return role
		}
	}
	return ""
}

package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"tombolo/linker/problem"
)

// Finding is something that is wrong.
type Finding struct {
	problem.Problem
	// Fix is a command that mends it and cannot do harm. nil: there is none.
	Fix []string `json:"fix,omitempty"`
}

// check is one look at the facts.
type check struct {
	name string // what it looks at, for people
	kind problem.Kind
	find func(Facts) []found
}

// found is a finding before it gets the texts of its kind.
type found struct {
	subject, reason, remedy string
	fix                     []string
}

// checks are in the order in which a packet needs what they look at.
var checks = []check{
	{"kernel", problem.KernelLacks, kernelLacks},
	{"forwarding", problem.ForwardingOff, forwardingOff},
	{"pool", problem.PoolRoutedElsewhere, poolRouted},
	{"resolvers", problem.PoolHasResolver, resolverInPool},
	{"firewall", problem.FirewallDrops, firewallDrops},
	{"rules about the pool", problem.PoolDropped, poolDropped},
	{"MTU", problem.MTUTooSmall, mtuTooSmall},
	{"disk", problem.DiskLow, diskLow},
	{"clock", problem.ClockUnsynchronised, clockUnsynchronised},
	{"Docker Engine", problem.DockerUnreachable, dockerUnreachable},
	{"Docker's version", problem.DockerTooOld, dockerTooOld},
	{"linker", problem.LinkerDown, linkerDown},
	{"Docker network", problem.NetworkMissing, networkMissing},
	{"plugin socket", problem.PluginSilent, pluginSilent},
	{"names in containers", problem.NamesUnanswered, namesUnanswered},
	{"names in single containers", problem.ContainerUnanswered, containerUnanswered},
	{"peers", problem.PeerSilent, peerSilent},
	{"troubles of peers", problem.PeerInTrouble, peerInTrouble},
}

// Examination is what Examine found.
type Examination struct {
	Host     string    `json:"host"`
	Healthy  bool      `json:"healthy"` // nothing worse than a notice was found
	Findings []Finding `json:"findings"`
	Checked  []string  `json:"checked"` // what was looked at and is in order
}

// Examine applies every check, and adds the problems that the host's linker reports itself.
func Examine(f Facts) Examination {
	out := Examination{Host: f.Host, Findings: []Finding{}, Checked: []string{}}
	if f.Linker != nil {
		for _, p := range f.Linker.Problems {
			out.Findings = append(out.Findings, Finding{Problem: p})
		}
	}
	for _, c := range checks {
		all := c.find(f)
		if len(all) == 0 {
			out.Checked = append(out.Checked, c.name)
		}
		for _, one := range all {
			out.add(c.kind, one)
		}
	}
	slices.SortStableFunc(out.Findings, func(a, b Finding) int { return problem.Compare(a.Problem, b.Problem) })
	out.Healthy = !slices.ContainsFunc(out.Findings, func(f Finding) bool { return f.Severity != problem.Notice })
	return out
}

// add adds a finding, unless the linker reports the same.
func (e *Examination) add(k problem.Kind, one found) {
	p := problem.New(k, problem.Found{Subject: one.subject, Reason: one.reason, Remedy: one.remedy})
	if len(one.fix) > 0 && one.remedy == "" {
		p.Remedy = strings.Join(one.fix, " ")
	}
	i := slices.IndexFunc(e.Findings, func(f Finding) bool { return f.Name == p.Name && f.Subject == p.Subject })
	if i >= 0 {
		e.Findings[i].Fix = one.fix
		return
	}
	e.Findings = append(e.Findings, Finding{Problem: p, Fix: one.fix})
}

func kernelLacks(f Facts) (all []found) {
	if f.Kernel.VXLAN != "" {
		all = append(all, found{subject: "vxlan", reason: f.Kernel.VXLAN, fix: []string{"modprobe", "vxlan"}})
	}
	for _, module := range slices.Sorted(maps.Keys(f.Kernel.Modules)) {
		all = append(all, found{subject: module, reason: fmt.Sprintf("the kernel %s has no %s: %s", f.Kernel.Release, module, f.Kernel.Modules[module]), fix: []string{"modprobe", module}})
	}
	return all
}

// forwardSysctls have to be 1.
var forwardSysctls = []string{"net.ipv4.ip_forward"}

func forwardingOff(f Facts) (all []found) {
	for _, name := range forwardSysctls {
		if value, ok := f.Kernel.Sysctls[name]; ok && value != "1" {
			all = append(all, found{subject: name, reason: fmt.Sprintf("%s is %s", name, value), fix: []string{"sysctl", "-w", name + "=1"}})
		}
	}
	return all
}

func poolRouted(f Facts) []found {
	if f.Pools.Conflict == "" {
		return nil
	}
	return []found{{reason: f.Pools.Conflict}}
}

func resolverInPool(f Facts) (all []found) {
	for _, addr := range f.Pools.Resolvers {
		if f.Pools.Pool4.IsValid() && f.Pools.Pool4.Contains(addr) {
			all = append(all, found{subject: addr.String(), reason: fmt.Sprintf("the name server %s of this host has an address of the pool %s", addr, f.Pools.Pool4)})
		}
	}
	return all
}

func firewallDrops(f Facts) (all []found) {
	for _, d := range f.Drops {
		if !d.Pool {
			all = append(all, found{subject: d.Place, reason: d.Why, remedy: d.Remedy})
		}
	}
	return all
}

func poolDropped(f Facts) (all []found) {
	var rules []string
	for _, d := range f.Drops {
		if d.Pool {
			rules = append(rules, d.Why)
		}
	}
	if len(rules) == 0 {
		return nil
	}
	return []found{{reason: strings.Join(rules, "; ")}}
}

// overhead is what VXLAN adds to a packet on an IPv4 underlay, in bytes.
const overhead = 50

func mtuTooSmall(f Facts) (all []found) {
	n := f.Network
	if n.UnderlayMTU > 0 && n.DeviceMTU > n.UnderlayMTU-overhead {
		all = append(all, found{reason: fmt.Sprintf("%s carries packets of %d bytes, but %s of %d: with %d bytes of VXLAN they do not fit",
			n.Device, n.DeviceMTU, n.Underlay, n.UnderlayMTU, overhead)})
	}
	for _, p := range f.Peers {
		if p.MTU > 0 && n.DeviceMTU > 0 && p.MTU != n.DeviceMTU {
			all = append(all, found{subject: p.Name, reason: fmt.Sprintf("the overlay of %s carries packets of %d bytes, and that of this host %d", p.Name, p.MTU, n.DeviceMTU)})
		}
	}
	return all
}

// A disk is low with less than both of these free, or less than a hundredth of its inodes.
const (
	lowBytes   = 500 << 20
	lowPercent = 5
)

func diskLow(f Facts) (all []found) {
	for _, d := range f.Disks {
		switch {
		case d.ReadOnly:
			all = append(all, found{subject: d.Path, reason: "the file system is read-only"})
		case d.Size > 0 && d.Free < lowBytes && d.Free*100/d.Size < lowPercent:
			all = append(all, found{subject: d.Path, reason: fmt.Sprintf("%d MiB of %d MiB are free", d.Free>>20, d.Size>>20)})
		case d.Inodes > 0 && d.FreeInodes < d.Inodes/100:
			all = append(all, found{subject: d.Path, reason: fmt.Sprintf("%d of %d inodes are free", d.FreeInodes, d.Inodes)})
		}
	}
	return all
}

func clockUnsynchronised(f Facts) []found {
	if f.Clock.Synchronised {
		return nil
	}
	return []found{{reason: "the kernel says that no time service keeps the clock right"}}
}

func dockerUnreachable(f Facts) []found {
	if f.Docker.Error == "" {
		return nil
	}
	return []found{{reason: f.Docker.Error}}
}

// The oldest Engine that is supported.
const (
	oldestMajor = 20
	oldestMinor = 10
)

func dockerTooOld(f Facts) []found {
	major, rest, _ := strings.Cut(f.Docker.Version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	ma, err1 := strconv.Atoi(major)
	mi, err2 := strconv.Atoi(minor)
	if err1 != nil || err2 != nil || ma > oldestMajor || ma == oldestMajor && mi >= oldestMinor {
		return nil
	}
	return []found{{reason: fmt.Sprintf("the Docker Engine has the version %s", f.Docker.Version)}}
}

func linkerDown(f Facts) []found {
	if f.Linker != nil {
		return nil
	}
	return []found{{reason: f.NoReply}}
}

func networkMissing(f Facts) []found {
	switch {
	case f.Docker.Error != "" || f.Linker == nil || f.Docker.Driver == "tombolo":
		return nil
	case f.Docker.Driver == "":
		return []found{{reason: "Docker has no network with the name tombolo"}}
	}
	return []found{{reason: "Docker's network tombolo has the driver " + f.Docker.Driver,
		remedy: "docker network rm tombolo; the linker makes it again"}}
}

func pluginSilent(f Facts) []found {
	if f.Linker == nil || f.Docker.Plugin == "" {
		return nil
	}
	return []found{{reason: f.Docker.Plugin}}
}

// namesUnanswered finds the containers without answers, if all are.
func namesUnanswered(f Facts) []found {
	if silent := silentContainers(f); len(silent) == len(f.Names) {
		return silent
	}
	return nil
}

// containerUnanswered finds the containers without answers, if others get some.
func containerUnanswered(f Facts) []found {
	if silent := silentContainers(f); len(silent) < len(f.Names) {
		return silent
	}
	return nil
}

// silentContainers returns those without answers that the linker does not report itself.
func silentContainers(f Facts) (all []found) {
	for _, n := range f.Names {
		if n.Error != "" && !f.linkerSays(n.Container, problem.NamesUnanswered, problem.ContainerUnanswered) {
			all = append(all, found{subject: n.Container, reason: n.Error})
		}
	}
	return all
}

// linkerSays reports whether the linker reports a problem of one of the kinds about a subject.
func (f Facts) linkerSays(subject string, kinds ...problem.Kind) bool {
	return f.Linker != nil && slices.ContainsFunc(f.Linker.Problems, func(p problem.Problem) bool {
		return p.Subject == subject && slices.ContainsFunc(kinds, func(k problem.Kind) bool { return k.Name == p.Name })
	})
}

func peerSilent(f Facts) (all []found) {
	for _, p := range f.Peers {
		if p.State != "alive" {
			all = append(all, found{subject: p.Name, reason: fmt.Sprintf("the linker of %s (%s) does not answer the gossip", p.Name, p.Underlay)})
		}
	}
	return all
}

func peerInTrouble(f Facts) (all []found) {
	for _, p := range f.Peers {
		if len(p.Troubles) > 0 {
			all = append(all, found{subject: p.Name, reason: strings.Join(p.Troubles, "; "), remedy: "on " + p.Name + ": tombolo doctor"})
		}
	}
	return all
}

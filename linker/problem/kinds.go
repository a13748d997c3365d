package problem

import (
	"slices"
	"strings"
)

// The problems of a linker. Their names are part of the API: alerts and scripts use them.
var (
	AddressMisplaced = kind(Kind{
		Name: "address-misplaced", Severity: Degraded, Subject: "host",
		Meaning: "containers with addresses of other hosts are left out of names, policy and ports",
		Remedy:  "find out who writes these records: the linker of that host, or a stranger whom a gossip key would keep away (--gossip-key-file)",
	})
	BlockMissing = kind(Kind{
		Name: "block-missing", Severity: Outage,
		Meaning: "this host takes no new containers, because it has no usable block of addresses",
		Remedy:  "start the other hosts, or name a free block with --block; where two hosts claimed one block, remove this host's containers from the network, and it takes another",
	})
	CatalogNotSaved = kind(Kind{
		Name: "catalog-not-saved", Severity: Outage,
		Meaning: "the linker cannot save the catalog: after a restart, it does not know hosts that do not answer",
		Remedy:  "make the state folder writable, with room on its disk",
	})
	ClockDiffers = kind(Kind{
		Name: "clock-differs", Severity: Notice, Subject: "host",
		Meaning: "the clocks of two hosts differ: times in logs and ps cannot be compared; Tombolo decides nothing by them",
		Remedy:  "run a time service, like systemd-timesyncd or chrony, on both",
	})
	ContainerIncomplete = kind(Kind{
		Name: "container-incomplete", Severity: Degraded, Subject: "container",
		Meaning: "containers lack IPv6, or the resolver at 127.0.0.11",
		Remedy:  "restart the container; if that does not help, find out what the reason says about the kernel",
	})
	DockerUnreachable = kind(Kind{
		Name: "docker-unreachable", Severity: Outage,
		Meaning: "the linker cannot ask the Docker Engine: no container starts, and changes of health are not seen",
		Remedy:  "start Docker, or name its socket with --docker",
	})
	FirewallDrops = kind(Kind{
		Name: "firewall-drops", Severity: Degraded, Subject: "chain",
		Meaning: "the host's own firewall drops packets of the overlay, unless another rule of it accepts them, and the linker cannot put a rule before that",
		Remedy:  "accept packets with the mark 0x2000 before the rule that drops them",
	})
	HostIdentityTaken = kind(Kind{
		Name: "host-identity-taken", Severity: Outage, Subject: "host",
		Meaning: "two machines have one identity, because one has a copy of the other's disk; names and routes lead to one of them only",
		Remedy:  "on the copy: end its containers, stop its linker, delete the linker's state folder (/var/lib/tombolo/linker), and start the linker again",
	})
	HostNameTaken = kind(Kind{
		Name: "host-name-taken", Severity: Degraded, Subject: "host",
		Meaning: "two machines have one name: NAME.host leads to both, and commands need the ID of one of them (tombolo host ls)",
		Remedy:  "give one of the two another name with --host",
	})
	KernelContested = kind(Kind{
		Name: "kernel-contested", Severity: Degraded, Subject: "thing",
		Meaning: "another program undoes again and again what the linker sets in the kernel; each time nothing passes for up to 2 seconds",
		Remedy:  "find out which program does (ip -ts monitor all; cron; configuration management), and keep it away from this thing",
	})
	LabelsUnreadable = kind(Kind{
		Name: "labels-unreadable", Severity: Degraded, Subject: "container",
		Meaning: "the container is shut off, because its labels cannot be read",
		Remedy:  "correct these labels and start the container again",
	})
	LimitReached = kind(Kind{
		Name: "limit-reached", Severity: Degraded,
		Meaning: "news of other hosts is refused, because there is too much of it",
		Remedy:  "find out who writes these records; a gossip key on every host (--gossip-key-file) keeps strangers away",
	})
	OverlayIncomplete = kind(Kind{
		Name: "overlay-incomplete", Severity: Outage,
		Meaning: "the kernel's interfaces, routes and rules are not as they have to be",
		Remedy:  "find out which other program changes this host's interfaces, routes or nftables rules",
	})
	PathBlocked = kind(Kind{
		Name: "path-blocked", Severity: Outage, Subject: "host",
		Meaning: "containers of this host cannot reach those of another host, or are not reached by them",
		Remedy:  "open this UDP port between all hosts, in both directions: in their firewalls, in security groups and in the network between them",
	})
	PathNarrow = kind(Kind{
		Name: "path-narrow", Severity: Degraded, Subject: "host",
		Meaning: "large packets are lost between two hosts; TCP uses smaller segments, and senders of other large packets are told by ICMP",
		Remedy:  "set the MTU of the interfaces of all hosts to what the network between them carries, or open the network for packets of the full size",
	})
	PoolRoutedElsewhere = kind(Kind{
		Name: "pool-routed-elsewhere", Severity: Outage,
		Meaning: "a part of the pool is routed elsewhere: packets for containers may leave this host on another way",
		Remedy:  "remove that route, or choose another pool on every host with --pool or --pool6",
	})
	PoolDropped = kind(Kind{
		Name: "pool-dropped", Severity: Degraded,
		Meaning: "another program has a rule that drops packets because of addresses of the pool; no packet has met it lately",
		Remedy:  "remove that rule, or choose another pool on every host with --pool or --pool6; for a cluster of one machine: tombolo down, tombolo daemon stop, tombolo up --pool",
	})
	PoolDropping = kind(Kind{
		Name: "pool-dropping", Severity: Outage,
		Meaning: "another program drops packets of containers now, because of addresses of the pool: they do not resolve names, or are not reached",
		Remedy:  "remove that rule, or choose another pool on every host with --pool or --pool6; for a cluster of one machine: tombolo down, tombolo daemon stop, tombolo up --pool",
	})
	PoolHasResolver = kind(Kind{
		Name: "pool-has-resolver", Severity: Outage, Subject: "name server",
		Meaning: "a name server of this host has an address in the pool: containers cannot resolve names of the outside",
		Remedy:  "name another server in /etc/resolv.conf, or choose another pool on every host with --pool; for a cluster of one machine: tombolo down, tombolo daemon stop, tombolo up --pool",
	})
	PoolDiffers = kind(Kind{
		Name: "pool-differs", Severity: Degraded, Subject: "host",
		Meaning: "hosts with another pool are left out",
		Remedy:  "start every host with the same --pool and --pool6",
	})
	PortConflict = kind(Kind{
		Name: "port-conflict", Severity: Degraded, Subject: "port",
		Meaning: "a published port does not lead to every service that publishes it",
		Remedy:  "publish another port",
	})
	PortNotHeld = kind(Kind{
		Name: "port-not-held", Severity: Degraded, Subject: "port",
		Meaning: "another process holds a published port; the kernel still leads connections to the container",
		Remedy:  "end that process, or publish another port",
	})
	ProbeImpossible = kind(Kind{
		Name: "probe-impossible", Severity: Notice,
		Meaning: "the linker cannot find out whether packets pass between this host and others",
		Remedy:  "end the process that has this port, or choose another with --gossip-port on every host",
	})
	ServiceWithoutAddress = kind(Kind{
		Name: "service-without-address", Severity: Degraded,
		Meaning: "the names of some services lead to their instances, or the addresses of services are lost after a restart",
		Remedy:  "remove apps, or choose a larger pool on every host with --pool; where the disk is full, make room on it",
	})
	StateNotSaved = kind(Kind{
		Name: "state-not-saved", Severity: Outage,
		Meaning: "the linker cannot save its state: after a restart, it may not find its block again",
		Remedy:  "make the state folder writable, with room on its disk",
	})
)

var kinds []Kind

// kind adds a kind to Kinds.
func kind(k Kind) Kind {
	kinds = append(kinds, k)
	return k
}

// Kinds returns every kind, sorted by name.
func Kinds() []Kind {
	return slices.SortedFunc(slices.Values(kinds), func(a, b Kind) int { return strings.Compare(a.Name, b.Name) })
}

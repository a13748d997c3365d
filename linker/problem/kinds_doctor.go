package problem

// More problems. Most of them are found by `tombolo doctor` only, also where no linker runs.
var (
	ClockUnsynchronised = kind(Kind{
		Name: "clock-unsynchronised", Severity: Notice,
		Meaning: "the clock of this host may be wrong; times in logs and ps are then wrong too",
		Remedy:  "run a time service, like systemd-timesyncd or chrony",
	})
	ContainerUnanswered = kind(Kind{
		Name: "container-unanswered", Severity: Degraded, Subject: "container",
		Meaning: "a container gets no answer to DNS queries, and others on its host do",
		Remedy:  "look for a rule that concerns this container alone, in the firewall of the host and in the container's own network namespace",
	})
	DiskLow = kind(Kind{
		Name: "disk-low", Severity: Degraded, Subject: "folder",
		Meaning: "the disk is nearly full: soon the state cannot be saved, and no image be pulled",
		Remedy:  "make room on that disk; docker system df shows what Docker has",
	})
	DockerTooOld = kind(Kind{
		Name: "docker-too-old", Severity: Degraded,
		Meaning: "this Docker Engine is older than those on which Tombolo is tested",
		Remedy:  "install Docker 20.10 or later",
	})
	ForwardingOff = kind(Kind{
		Name: "forwarding-off", Severity: Outage, Subject: "setting",
		Meaning: "the kernel forwards no packets: no container reaches another, or the outside",
		Remedy:  "switch it on with sysctl, and look in /etc/sysctl.d for the file that switches it off",
	})
	KernelLacks = kind(Kind{
		Name: "kernel-lacks", Severity: Outage, Subject: "module",
		Meaning: "the kernel cannot do what the overlay needs",
		Remedy:  "load the module, or install the distribution's full kernel package",
	})
	LinkerDown = kind(Kind{
		Name: "linker-down", Severity: Outage,
		Meaning: "no linker runs on this host: connections go on, but no container starts and no name is answered",
		Remedy:  "tombolo up starts one; on a cluster: systemctl start tombolo-linker",
	})
	MetricsUnavailable = kind(Kind{
		Name: "metrics-unavailable", Severity: Notice,
		Meaning: "Prometheus gets no metrics of this linker",
		Remedy:  "end the process that has the address, or choose another with --metrics",
	})
	MTUTooSmall = kind(Kind{
		Name: "mtu-too-small", Severity: Notice, Subject: "host",
		Meaning: "hosts carry packets of different sizes: large ones are cut or answered with ICMP on the way",
		Remedy:  "give the interfaces of the underlay one MTU on every host",
	})
	NamesUnanswered = kind(Kind{
		Name: "names-unanswered", Severity: Outage, Subject: "container",
		Meaning: "containers on this host get no answer to DNS queries",
		Remedy:  "let TCP and UDP port 53 pass from the interfaces tb* to this host, and the answers, in the firewall of the host: remove the rule, or put one before it",
	})
	NetworkMissing = kind(Kind{
		Name: "network-missing", Severity: Outage,
		Meaning: "Docker lacks the network tombolo: no container starts on the overlay",
		Remedy:  "restart the linker: it makes the network",
	})
	PeerInTrouble = kind(Kind{
		Name: "peer-in-trouble", Severity: Degraded, Subject: "host",
		Meaning: "another host says that it has an outage",
		Remedy:  "run tombolo doctor on that host",
	})
	PeerSilent = kind(Kind{
		Name: "peer-silent", Severity: Degraded, Subject: "host",
		Meaning: "the linker of another host does not answer: no name leads to its containers",
		Remedy:  "start the linker there; let port 7980 TCP and UDP pass between the hosts, and use one gossip key",
	})
	PluginSilent = kind(Kind{
		Name: "plugin-silent", Severity: Outage,
		Meaning: "Docker cannot ask the linker: no container starts on the overlay",
		Remedy:  "restart the linker; --plugin-dir must name the folder in which Docker looks for plugins",
	})
)

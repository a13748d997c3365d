package daemon

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"tombolo/cmd/clusterfile"
	"tombolo/cmd/docker"
	"tombolo/cmd/rundir"
	"tombolo/framework/local/agent"
	"tombolo/framework/local/cluster"
	"tombolo/framework/local/master"
	"tombolo/internal/unixhttp"
	"tombolo/internal/wake"
	linkerapi "tombolo/linker/api"
)

// DefaultStateDir is where a daemon keeps what its next run needs.
const DefaultStateDir = "/var/lib/tombolo"

// Config says which hosts an embedded cluster has and where it keeps its files.
type Config struct {
	ClusterFile string       // names the hosts; "": this machine is the only host
	RunDir      rundir.Dir   // sockets and the lock
	StateDir    string       // "": DefaultStateDir, or the folder state beside ClusterFile
	Pool        netip.Prefix // IPv4 addresses of this machine's containers; unset: those of the last run, or a free range
	Version     string       // of this binary
	Log         *slog.Logger
}

// daemon is a Config with its defaults filled in and the hosts that it names.
type daemon struct {
	Config
	hosts *clusterfile.Cluster
}

// Run runs an embedded cluster and its framework until ctx ends, and then returns nil.
// Containers keep running; the next daemon takes them over. On a single machine it runs
// the linker too, as a child process.
func Run(ctx context.Context, cfg Config) error {
	d, err := newDaemon(cfg)
	if err != nil {
		return err
	}
	holder := rundir.Holder{Kind: rundir.Machine, StateDir: d.StateDir}
	if d.ClusterFile != "" {
		holder.Kind, holder.Cluster = rundir.Cluster, d.ClusterFile
	}
	lock, err := d.RunDir.Lock(holder)
	if err != nil {
		return err
	}
	defer lock.Close()
	if d.ClusterFile == "" {
		if err := foreignLinker(d.StateDir); err != nil {
			return err
		}
	}
	return d.run(ctx)
}

func newDaemon(cfg Config) (d *daemon, err error) {
	d = &daemon{Config: cfg}
	if d.ClusterFile == "" {
		d.StateDir = cmp.Or(d.StateDir, DefaultStateDir)
		d.hosts, err = clusterfile.ThisMachine(docker.Machine(), d.RunDir.Linker())
	} else {
		// Other processes read this path from the lock, in folders of their own.
		if d.ClusterFile, err = filepath.Abs(d.ClusterFile); err != nil {
			return nil, err
		}
		d.StateDir = cmp.Or(d.StateDir, filepath.Join(filepath.Dir(d.ClusterFile), "state"))
		d.hosts, err = clusterfile.Read(d.ClusterFile)
	}
	if err != nil {
		return nil, err
	}
	d.StateDir, err = filepath.Abs(d.StateDir)
	return d, err
}

// run starts each part before the parts that need it: the linker, the cluster, the
// framework with its API.
func (d *daemon) run(ctx context.Context) error {
	timeout, err := d.hosts.Timeout()
	if err != nil {
		return err
	}
	embedded, err := cluster.New(cluster.Config{
		Master: master.Config{Dir: filepath.Join(d.StateDir, "master"), AgentTimeout: timeout},
		Agents: agents(d.hosts, d.StateDir), Log: d.Log,
	})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	if d.ClusterFile == "" {
		group.Go(func() error { return d.runLinker(ctx) })
	}
	group.Go(func() error { return embedded.Run(ctx) })
	group.Go(func() error { return serve(ctx, d.RunDir.Master(), embedded.Handler()) })
	group.Go(func() error {
		if d.ClusterFile == "" && !d.linkerReady(ctx) {
			return nil
		}
		return d.runFramework(ctx)
	})
	return group.Wait()
}

// agents configures the agent of each host. Agents whose host names no work folder work
// below dir.
func agents(f *clusterfile.Cluster, dir string) []agent.Config {
	var all []agent.Config
	for _, h := range f.Hosts {
		all = append(all, agent.Config{
			Hostname: h.Name, DockerHost: h.Docker, WorkDir: cmp.Or(h.WorkDir, filepath.Join(dir, "agents", h.Name)),
			IP: h.Underlay, CPUs: h.CPUs, MemBytes: h.MemBytes, Attributes: h.Attributes,
		})
	}
	return all
}

// readyWait is how long a linker that answers may take to be ready. After that, the framework
// starts without it: the linker may have a problem that only the user can solve, which
// the states of the apps show.
const readyWait = 20 * time.Second

// linkerReady waits for the linker, because a container that starts earlier finds no
// network. It returns false when ctx ends.
func (d *daemon) linkerReady(ctx context.Context) bool {
	linker := linkerapi.NewClient(d.hosts.Hosts[0].Linker)
	defer linker.Close()
	for late := time.Now().Add(readyWait); ; {
		if status, err := linker.Status(ctx); err == nil && (status.Ready || time.Now().After(late)) {
			return true
		}
		if !wake.Sleep(ctx, 50*time.Millisecond) {
			return false
		}
	}
}

func (d *daemon) runFramework(ctx context.Context) error {
	linkers := map[string]string{}
	for _, h := range d.hosts.Hosts {
		if h.Linker != "" {
			linkers[h.Name] = h.Linker
		}
	}
	return RunFramework(ctx, FrameworkConfig{
		Masters: []string{"master"}, MasterName: "embedded",
		HTTP:     &http.Client{Transport: unixhttp.Transport(d.RunDir.Master())},
		StateDir: d.StateDir, RunDir: d.RunDir,
		Linkers: linkers, Registry: d.hosts.Registry, Version: d.Version, Metrics: DefaultFrameworkMetrics, Log: d.Log,
	})
}

// database is the file in which a framework keeps its apps and tasks.
func database(stateDir string) string { return filepath.Join(stateDir, "framework.db") }

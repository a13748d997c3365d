package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"tombolo/framework"
	"tombolo/framework/api"
	"tombolo/framework/local/cluster"
	"tombolo/framework/local/master"
	"tombolo/framework/mesos"
	"tombolo/framework/store"
	linkerapi "tombolo/linker/api"
	"tombolo/linker/supervise"
)

// daemonFlags say where a daemon keeps things and which hosts it has.
type daemonFlags struct {
	cluster, runDir, stateDir string
	version                   string
}

func newDaemonRunCommand(version string) *cobra.Command {
	f := daemonFlags{version: version}
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon in the foreground",
		Long: `Run the embedded cluster until SIGTERM or Ctrl-C. Containers run on; the next
daemon takes them over. Without --cluster the cluster is this machine, and its
linker is started too.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needRoot("the daemon starts containers and makes network interfaces"); err != nil {
				return err
			}
			return f.run(cmd.Context(), newLogger(cmd))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.cluster, "cluster", "", "JSON file that names the hosts (default: this machine)")
	flags.StringVar(&f.runDir, "run-dir", defaultRunDir, "for the API's socket and the lock")
	flags.StringVar(&f.stateDir, "state-dir", "", "for what a restart needs (default "+defaultStateDir+"; with --cluster: the folder state beside the file)")
	return cmd
}

// daemon is what the parts of a running daemon share.
type daemon struct {
	daemonFlags
	hosts *clusterFile
	log   *slog.Logger
}

func (f daemonFlags) run(ctx context.Context, log *slog.Logger) error {
	d := &daemon{daemonFlags: f, log: log}
	var err error
	if f.cluster == "" {
		d.hosts, err = thisMachine(f.runDir)
	} else {
		d.hosts, err = readCluster(f.cluster)
	}
	if err != nil {
		return err
	}
	switch {
	case f.stateDir != "":
	case f.cluster != "":
		d.stateDir = filepath.Join(filepath.Dir(f.cluster), "state")
	default:
		d.stateDir = defaultStateDir
	}
	if d.stateDir, err = filepath.Abs(d.stateDir); err != nil {
		return err
	}
	h := holder{Kind: kindMachine, StateDir: d.stateDir}
	if f.cluster != "" {
		h.Kind = kindCluster
		if h.Cluster, err = filepath.Abs(f.cluster); err != nil {
			return err
		}
	}
	lock, err := lockDaemon(f.runDir, h)
	if err != nil {
		return err
	}
	defer lock.Close()
	if h.Kind == kindMachine {
		if err := foreignLinker(d.stateDir); err != nil {
			return err
		}
	}
	return d.run(ctx)
}

// run starts, in this order, what the next needs: the linker, the cluster, the
// framework on it, the API.
func (d *daemon) run(ctx context.Context) error {
	timeout, err := d.hosts.partitionTimeout()
	if err != nil {
		return err
	}
	c, err := cluster.New(cluster.Config{
		Master: master.Config{Dir: filepath.Join(d.stateDir, "master"), AgentTimeout: timeout},
		Agents: d.hosts.agents(d.stateDir), Log: d.log,
	})
	if err != nil {
		return err
	}
	masterSocket := filepath.Join(d.runDir, "master.sock")
	group, ctx := errgroup.WithContext(ctx)
	if d.cluster == "" {
		group.Go(func() error { return d.runLinker(ctx) })
	}
	group.Go(func() error { return c.Run(ctx) })
	group.Go(func() error { return serveUnix(ctx, masterSocket, c.Handler()) })
	group.Go(func() error {
		if d.cluster == "" && !d.linkerReady(ctx) {
			return nil
		}
		return d.runFramework(ctx, masterSocket)
	})
	return group.Wait()
}

// runLinker runs this machine's linker as a child: one that is stuck can be
// killed, and Docker waits for it no longer, without touching the rest.
func (d *daemon) runLinker(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	host, stateDir := d.hosts.Hosts[0], filepath.Join(d.stateDir, "linker")
	args := []string{
		self, "linker", "--host", host.Name, "--docker", host.Docker, "--run-dir", d.runDir, "--state-dir", stateDir,
	}
	pool6, err := keptPool6(d.stateDir, stateDir)
	if err != nil {
		return err
	}
	if pool6.IsValid() {
		args = append(args, "--pool6", pool6.String())
	}
	dns, err := keepDNS(ctx)
	if err != nil {
		return err
	}
	err = supervise.Run(ctx, supervise.Config{Log: d.log.With("part", "linker"), Args: args, Files: dns})
	var exit supervise.ExitError
	if errors.As(err, &exit) {
		return errors.New("the linker cannot run; what it said stands above")
	}
	return err
}

// linkerReady waits for the linker: a container that starts before would find no
// network.
func (d *daemon) linkerReady(ctx context.Context) bool {
	linker := linkerapi.NewClient(d.hosts.Hosts[0].Linker)
	defer linker.Close()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if status, err := linker.Status(ctx); err == nil && status.Ready {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

func (d *daemon) runFramework(ctx context.Context, masterSocket string) error {
	linkers := map[string]string{}
	for _, h := range d.hosts.Hosts {
		if h.Linker != "" {
			linkers[h.Name] = h.Linker
		}
	}
	return runFramework(ctx, frameworkSetup{
		Masters: []string{"master"}, HTTP: unixHTTP(masterSocket), MasterName: "embedded",
		Database: filepath.Join(d.stateDir, "framework.db"), Socket: filepath.Join(d.runDir, "api.sock"),
		Linkers: linkers, Registry: d.hosts.Registry, Log: d.log, Version: d.version,
	})
}

// frameworkSetup is what runFramework wires together.
type frameworkSetup struct {
	Masters     []string
	HTTP        *http.Client       // nil: TCP
	Credentials *mesos.Credentials // nil: none
	MasterName  string             // as the API shows it; "": the leader's address
	User, Role  string
	Database    string
	Socket      string            // of the API
	Linkers     map[string]string // host name -> socket
	Registry    *api.Registry
	Log         *slog.Logger
	Version     string // of this binary
}

// runFramework runs a framework and its API until ctx ends.
func runFramework(ctx context.Context, s frameworkSetup) (err error) {
	if err := os.MkdirAll(filepath.Dir(s.Database), 0o700); err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	backend, err := store.OpenBolt(s.Database)
	if err != nil {
		return err
	}
	kept := store.New(backend)
	defer func() { err = errors.Join(err, kept.Close()) }()
	linkers := map[string]framework.Linker{}
	for host, socket := range s.Linkers {
		c := linkerapi.NewClient(socket)
		defer c.Close()
		linkers[host] = framework.Linker{Catalog: c, Recorder: c, Logs: c}
	}
	user := s.User
	if user == "" {
		user = "root"
	}
	var f *framework.Framework
	self := framework.Info(user, s.Role, framework.DefaultFailover)
	if s.Credentials != nil {
		self.Principal = &s.Credentials.Principal
	}
	master := mesos.New(mesos.Config{
		Masters: s.Masters, HTTP: s.HTTP, Credentials: s.Credentials, Log: s.Log,
		Framework:    self,
		Disconnected: func(err error) { f.Disconnected(err) }, // not before f runs it
	})
	f = framework.New(framework.Config{
		Master: master, Store: kept, Linkers: linkers, Resolver: resolver(linkers), Log: s.Log,
		Info: api.Info{Version: s.Version, Master: s.MasterName, Registry: s.Registry},
	})
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return f.Run(ctx) })
	group.Go(func() error {
		return serveUnix(ctx, s.Socket, api.NewHandler(api.Config{Cluster: f, Logs: f, Log: s.Log}))
	})
	return group.Wait()
}

// resolver is what containers get as their resolv.conf: the linkers', where there
// are linkers.
func resolver(linkers map[string]framework.Linker) string {
	if len(linkers) == 0 {
		return ""
	}
	return framework.DefaultResolver
}

// unixHTTP is an HTTP client of whoever listens on socket.
func unixHTTP(socket string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
}

// serveUnix serves handler on a unix socket that only root may use, until ctx
// ends. The caller holds the lock: a socket that is there already is a dead one's.
func serveUnix(ctx context.Context, socket string, handler http.Handler) error {
	if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("socket: %w", err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", socket)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		return errors.Join(fmt.Errorf("socket: %w", err), listener.Close())
	}
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx }, // streams end with it
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", socket, err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if server.Shutdown(grace) != nil {
		_ = server.Close() // what hangs is cut
	}
	<-served
	return nil
}

package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"tombolo/cmd/rundir"
	"tombolo/framework"
	"tombolo/framework/api"
	"tombolo/framework/mesos"
	"tombolo/framework/metrics"
	"tombolo/framework/store"
	"tombolo/internal/scrape"
	"tombolo/internal/unixhttp"
	"tombolo/internal/wake"
	linkerapi "tombolo/linker/api"
)

// DefaultFrameworkMetrics is where frameworks serve their metrics, beside those of the linker.
const DefaultFrameworkMetrics = "127.0.0.1:7983"

// FrameworkConfig says what a framework schedules on, and where it keeps its state.
type FrameworkConfig struct {
	Masters     []string           // host:port or URL; any of them leads to the leader
	MasterName  string             // shown by the API; "": the leader's address
	HTTP        *http.Client       // reaches the masters; nil: over TCP
	Credentials *mesos.Credentials // nil: the masters do not ask for authentication
	User        string             // runs the executors on the agents; "": root
	Role        string             // whose offers it gets; "": *
	StateDir    string             // folder of its database
	RunDir      rundir.Dir         // folder of its API's socket
	Linkers     map[string]string  // host name -> socket of the host's linker; empty: containers get no names
	Registry    *api.Registry      // nil: none
	Version     string             // of this binary
	Metrics     string             // host and port at which Prometheus gets metrics; "": none
	Log         *slog.Logger
}

// RunFramework runs a framework and serves its API until ctx ends, and then returns
// nil. Tasks keep running. The caller holds the lock of cfg.RunDir.
func RunFramework(ctx context.Context, cfg FrameworkConfig) (err error) {
	if err := os.MkdirAll(cfg.StateDir, 0o700); err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	backend, err := store.OpenBolt(database(cfg.StateDir))
	if err != nil {
		return err
	}
	kept := store.New(backend)
	defer func() { err = errors.Join(err, kept.Close()) }()
	linkers := map[string]framework.Linker{}
	for host, socket := range cfg.Linkers {
		c := linkerapi.NewClient(socket)
		defer c.Close()
		linkers[host] = framework.Linker{Catalog: c, Recorder: c, Logs: c, Engine: c, Volumes: c}
	}
	self := framework.Info(cfg.User, cfg.Role)
	if cfg.Credentials != nil {
		self.Principal = &cfg.Credentials.Principal
	}
	var f *framework.Framework
	master := mesos.New(mesos.Config{
		Masters: cfg.Masters, HTTP: cfg.HTTP, Credentials: cfg.Credentials, Framework: self, Log: cfg.Log,
		Disconnected: func(err error) { f.Disconnected(err) }, // f is set by then: it runs the master
	})
	f = framework.New(framework.Config{
		Master: master, Store: kept, Linkers: linkers, Log: cfg.Log,
		Info: api.Info{Version: cfg.Version, Master: cfg.MasterName, Registry: cfg.Registry},
	})
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return f.Run(ctx) })
	group.Go(func() error {
		return serve(ctx, cfg.RunDir.API(), api.NewHandler(api.Config{Cluster: f, Logs: f, Volumes: f, VolumeTable: f, Log: cfg.Log}))
	})
	group.Go(func() error { return frameworkMetrics(f, cfg).Run(ctx) })
	return group.Wait()
}

// frameworkMetrics serves what a framework tells about itself.
func frameworkMetrics(f *framework.Framework, cfg FrameworkConfig) scrape.Server {
	source := metrics.Source{
		Snapshot: func() *api.Snapshot { s, _ := f.Snapshot(); return s },
		Stats:    func() metrics.Stats { return metrics.Stats(f.Stats()) },
	}
	return scrape.Server{Addr: cfg.Metrics, Collector: metrics.New(source), Log: cfg.Log, Report: func(err error) {
		if err != nil {
			cfg.Log.Warn("no metrics for Prometheus", "err", err)
		}
	}}
}

// LinkerHost asks a linker for the name of its host, until it answers or ctx ends. A
// framework that did not wait would launch containers that have no names.
func LinkerHost(ctx context.Context, socket string, log *slog.Logger) (string, error) {
	client := linkerapi.NewClient(socket)
	defer client.Close()
	for pauses := wake.NewBackoff(250*time.Millisecond, 8*time.Second); ; {
		asked, cancel := context.WithTimeout(ctx, 5*time.Second)
		status, err := client.Status(asked)
		cancel()
		if err == nil {
			return status.Host.Name, nil
		}
		log.Warn("the linker does not answer: waiting for it", "linker", socket, "err", err)
		if !pauses.Wait(ctx) {
			return "", ctx.Err()
		}
	}
}

// serve answers HTTP on a socket that only root may use, until ctx ends. The caller
// holds the lock of the folder, so a socket that is there already belongs to no process.
func serve(ctx context.Context, socket string, handler http.Handler) error {
	l, err := unixhttp.TakeOver(ctx, socket, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(socket)
	return unixhttp.Serve(ctx, l, &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}, 2*time.Second)
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tombolo/cmd/daemon"
	"tombolo/cmd/privilege"
	"tombolo/cmd/rundir"
	"tombolo/cmd/secretfile"
	"tombolo/framework/mesos"
)

// noLinker is the value of --linker for a framework without linkers.
const noLinker = "none"

// frameworkFlags are the flags of `tombolo framework`: those that set a field of the
// FrameworkConfig, and the texts of those that run parses.
type frameworkFlags struct {
	cfg                   daemon.FrameworkConfig
	linkers               []string
	principal, secretFile string
}

func newFrameworkCommand(version string) *cobra.Command {
	f := frameworkFlags{cfg: daemon.FrameworkConfig{Version: version}}
	cmd := &cobra.Command{
		Use:   "framework",
		Short: "Run the Mesos framework of a cluster",
		Long: `Run the framework of a Mesos or Clusterd cluster, until SIGTERM or Ctrl-C. Tasks keep
running; the next framework with the same state folder takes them over. Run one framework
at a time, on any machine that reaches the masters.

A linker tells the framework which containers run where, and spreads the framework's
links to the other hosts' linkers. The framework waits at its start for the linker of its
own machine, or for those that --linker names. With --linker none, it runs without, and
containers get no names.

Every flag has an environment variable: --secret-file is TOMBOLO_SECRET_FILE.`,
		Example: "  tombolo framework --master http://m1:5050,http://m2:5050",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := fromEnvironment(cmd.Flags(), os.LookupEnv); err != nil {
				return usageError{err}
			}
			if err := f.validate(); err != nil {
				return usageError{err}
			}
			return f.run(cmd)
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.cfg.Masters, "master", nil, "`host:port` or URL of a master; may be repeated; any master leads to the leader")
	flags.StringVar(&f.cfg.Role, "role", "*", "`role` whose offers the framework gets")
	flags.StringVar(&f.cfg.User, "user", "root", "`user` that runs the executors on the agents")
	flags.StringVar(&f.principal, "principal", "", "if the masters require authentication: the framework's `principal` (HTTP basic)")
	flags.StringVar(&f.secretFile, "secret-file", "", "`file` with the principal's secret; only its owner may be able to read it")
	flags.StringSliceVar(&f.linkers, "linker", []string{defaultLinkerSocket}, "`socket` of a linker; may be repeated; HOST=SOCKET names the host of a linker that may not answer yet; none: run without")
	runDirFlag(flags, &f.cfg.RunDir, "`folder` for the API's socket and the lock")
	flags.StringVar(&f.cfg.Metrics, "metrics", daemon.DefaultFrameworkMetrics, "`address` and port at which Prometheus gets metrics over HTTP, at /metrics; empty: none")
	flags.StringVar(&f.cfg.StateDir, "state-dir", filepath.Join(daemon.DefaultStateDir, "framework"), "`folder` for the state that the next run needs")
	return cmd
}

// validate reports every problem at once.
func (f *frameworkFlags) validate() error {
	var errs []error
	if len(f.cfg.Masters) == 0 {
		errs = append(errs, errors.New("--master is missing: name the masters, like --master http://m1:5050,http://m2:5050"))
	}
	for _, m := range f.cfg.Masters {
		switch scheme, _, ok := strings.Cut(m, "://"); {
		case scheme == "zk":
			errs = append(errs, fmt.Errorf("--master %s: ZooKeeper is not asked; name the masters themselves: any of them leads to the leader", m))
		case ok && scheme != "http" && scheme != "https":
			errs = append(errs, fmt.Errorf("--master %s: want host:port, http:// or https://", m))
		}
	}
	if _, err := net.ResolveTCPAddr("tcp", f.cfg.Metrics); f.cfg.Metrics != "" && err != nil {
		errs = append(errs, fmt.Errorf("--metrics %q: want an address like %s", f.cfg.Metrics, daemon.DefaultFrameworkMetrics))
	}
	if len(f.linkers) > 1 && slices.Contains(f.linkers, noLinker) {
		errs = append(errs, fmt.Errorf("--linker %s: and others are named too; name either the linkers or none", noLinker))
	}
	if (f.principal == "") != (f.secretFile == "") {
		errs = append(errs, errors.New("--principal and --secret-file: one without the other; set both or neither"))
	}
	return errors.Join(errs...)
}

// credentials returns nil if the masters do not require authentication.
func (f *frameworkFlags) credentials() (*mesos.Credentials, error) {
	if f.principal == "" {
		return nil, nil
	}
	secret, err := secretfile.Read(f.secretFile)
	if err != nil {
		return nil, fmt.Errorf("--secret-file: %w", err)
	}
	return &mesos.Credentials{Principal: f.principal, Secret: strings.TrimRight(secret, "\r\n")}, nil
}

func (f *frameworkFlags) run(cmd *cobra.Command) (err error) {
	ctx, cfg := cmd.Context(), f.cfg
	cfg.Log = newLogger(cmd, slog.LevelInfo)
	if cfg.Credentials, err = f.credentials(); err != nil {
		return usageError{err}
	}
	lock, err := cfg.RunDir.Lock(rundir.Holder{Kind: rundir.Framework, StateDir: cfg.StateDir})
	if errors.Is(err, fs.ErrPermission) {
		return privilege.NeedRoot("the framework keeps its lock and its API's socket in " + string(cfg.RunDir))
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	cfg.Linkers, err = f.linkerNames(ctx, cfg.Log)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	return daemon.RunFramework(ctx, cfg)
}

// linkerNames returns the socket of each linker by the name of its host.
func (f *frameworkFlags) linkerNames(ctx context.Context, log *slog.Logger) (map[string]string, error) {
	names := map[string]string{}
	if slices.Equal(f.linkers, []string{noLinker}) {
		log.Warn("running without a linker: containers get no names and no links")
		return names, nil
	}
	for _, l := range f.linkers {
		host, socket, named := strings.Cut(l, "=")
		if !named {
			socket = l
			var err error
			if host, err = daemon.LinkerHost(ctx, socket, log); err != nil {
				return nil, err
			}
		}
		names[host] = socket
	}
	return names, nil
}

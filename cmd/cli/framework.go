package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
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

// noLinker is what --linker says where there is none.
const noLinker = "none"

// frameworkFlags are the flags of `tombolo framework` as written.
type frameworkFlags struct {
	masters, linkers      []string
	principal, secretFile string
	role, user            string
	runDir                rundir.Dir
	stateDir              string
}

func newFrameworkCommand(version string) *cobra.Command {
	var f frameworkFlags
	cmd := &cobra.Command{
		Use:   "framework",
		Short: "Run the Mesos framework of a cluster",
		Long: `Run the framework on the masters of a Mesos or Clusterd cluster, until SIGTERM or
Ctrl-C. Tasks run on; the next framework with the same state folder takes them over.

It learns from a linker which containers are where, and tells the linkers which of
them are linked: it waits for the one of its own machine, or those that --linker
names. With --linker none it goes without, and containers get no names.`,
		Example: "  tombolo framework --master http://m1:5050,http://m2:5050",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := fromEnvironment(cmd.Flags(), os.LookupEnv); err != nil {
				return usageError{err}
			}
			if err := f.validate(); err != nil {
				return usageError{err}
			}
			return f.run(cmd, version)
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.masters, "master", nil, "host:port or URL of the masters; any of them leads to the leader")
	flags.StringVar(&f.role, "role", "*", "role to get offers for")
	flags.StringVar(&f.user, "user", "root", "user that executors run as on the agents")
	flags.StringVar(&f.principal, "principal", "", "who the framework is to masters that want to know (HTTP basic authentication)")
	flags.StringVar(&f.secretFile, "secret-file", "", "file with the principal's secret, readable by its owner alone")
	flags.StringSliceVar(&f.linkers, "linker", []string{defaultLinkerSocket}, "socket of a linker, may be repeated; HOST=SOCKET where it is not yet there to be asked its host's name; none: no names")
	runDirFlag(flags, &f.runDir, "for the API's socket and the lock")
	flags.StringVar(&f.stateDir, "state-dir", filepath.Join(daemon.DefaultStateDir, "framework"), "for what a restart needs")
	return cmd
}

// validate reports every problem at once.
func (f *frameworkFlags) validate() error {
	var errs []error
	if len(f.masters) == 0 {
		errs = append(errs, errors.New("--master is missing: name the masters, like --master http://m1:5050,http://m2:5050"))
	}
	for _, m := range f.masters {
		switch scheme, _, ok := strings.Cut(m, "://"); {
		case scheme == "zk":
			errs = append(errs, fmt.Errorf("--master %s: ZooKeeper is not asked; name the masters themselves, any one leads to the leader", m))
		case ok && scheme != "http" && scheme != "https":
			errs = append(errs, fmt.Errorf("--master %s: want host:port, http:// or https://", m))
		}
	}
	if len(f.linkers) > 1 && slices.Contains(f.linkers, noLinker) {
		errs = append(errs, fmt.Errorf("--linker %s: and others are named, too", noLinker))
	}
	if (f.principal == "") != (f.secretFile == "") {
		errs = append(errs, errors.New("--principal and --secret-file: one without the other"))
	}
	return errors.Join(errs...)
}

// credentials are nil where the masters ask for none.
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

func (f *frameworkFlags) run(cmd *cobra.Command, version string) error {
	ctx, log := cmd.Context(), newLogger(cmd, slog.LevelInfo)
	credentials, err := f.credentials()
	if err != nil {
		return usageError{err}
	}
	lock, err := f.runDir.Lock(rundir.Holder{Kind: rundir.Framework, StateDir: f.stateDir})
	if errors.Is(err, fs.ErrPermission) {
		return privilege.NeedRoot("the framework keeps its lock and its API's socket in " + string(f.runDir))
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	linkers, err := f.linkerNames(ctx, log)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	return daemon.RunFramework(ctx, daemon.FrameworkConfig{
		Masters: f.masters, Credentials: credentials, User: f.user, Role: f.role,
		Database: filepath.Join(f.stateDir, "framework.db"), Socket: f.runDir.API(),
		Linkers: linkers, Log: log, Version: version,
	})
}

// linkerNames finds out of which host each linker is.
func (f *frameworkFlags) linkerNames(ctx context.Context, log *slog.Logger) (map[string]string, error) {
	names := map[string]string{}
	if slices.Equal(f.linkers, []string{noLinker}) {
		log.Warn("no linker: containers get no names and no links")
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

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	linkerapi "tombolo/linker/api"
)

// frameworkFlags are the flags of `tombolo framework` as written.
type frameworkFlags struct {
	masters, linkers []string
	role, user       string
	runDir, stateDir string
}

func newFrameworkCommand() *cobra.Command {
	var f frameworkFlags
	cmd := &cobra.Command{
		Use:   "framework",
		Short: "Run the Mesos framework of a cluster",
		Long: `Run the framework on the masters of a Mesos or Clusterd cluster, until SIGTERM or
Ctrl-C. Tasks run on; the next framework with the same state folder takes them over.`,
		Example: "  tombolo framework --master http://m1:5050,http://m2:5050 --linker /run/tombolo/linker.sock",
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
	flags.StringSliceVar(&f.masters, "master", nil, "host:port or URL of the masters; any of them leads to the leader")
	flags.StringVar(&f.role, "role", "*", "role to get offers for")
	flags.StringVar(&f.user, "user", "root", "user that executors run as on the agents")
	flags.StringSliceVar(&f.linkers, "linker", nil, "socket of a linker, may be repeated; HOST=SOCKET where it is not yet there to be asked its host's name")
	flags.StringVar(&f.runDir, "run-dir", defaultRunDir, "for the API's socket and the lock")
	flags.StringVar(&f.stateDir, "state-dir", defaultStateDir, "for what a restart needs")
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
	return errors.Join(errs...)
}

func (f *frameworkFlags) run(cmd *cobra.Command) error {
	log := newLogger(cmd)
	linkers, err := f.linkerNames(cmd.Context())
	if err != nil {
		return err
	}
	lock, err := lockDaemon(f.runDir, holder{Kind: kindFramework, StateDir: f.stateDir})
	if err != nil {
		return err
	}
	defer lock.Close()
	return runFramework(cmd.Context(), frameworkSetup{
		Masters: f.masters, MasterName: strings.Join(f.masters, ","), User: f.user, Role: f.role,
		Database: filepath.Join(f.stateDir, "framework.db"), Socket: filepath.Join(f.runDir, "api.sock"),
		Linkers: linkers, Log: log,
	})
}

// linkerNames finds out of which host each linker is.
func (f *frameworkFlags) linkerNames(ctx context.Context) (map[string]string, error) {
	names := map[string]string{}
	var errs []error
	for _, l := range f.linkers {
		host, socket, named := strings.Cut(l, "=")
		if !named {
			socket = l
			c := linkerapi.NewClient(socket)
			asked, cancel := context.WithTimeout(ctx, 5*time.Second)
			status, err := c.Status(asked)
			cancel()
			c.Close()
			if err != nil {
				errs = append(errs, fmt.Errorf("--linker %s: %w", l, err))
				continue
			}
			host = status.Host.Name
		}
		names[host] = socket
	}
	return names, errors.Join(errs...)
}

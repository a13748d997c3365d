package cli

import (
	"encoding"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tombolo/cmd/daemon"
	"tombolo/cmd/privilege"
	"tombolo/cmd/secretfile"
	"tombolo/linker"
	"tombolo/linker/supervise"
)

func newLinkerCommand(version string) *cobra.Command {
	var raw linkerFlags
	cmd := &cobra.Command{
		Use:   "linker",
		Short: "Run this host's linker: addresses, names and links for its containers",
		Long: `Run the linker of this host, until SIGTERM or Ctrl-C; it needs root. The linker makes
the Docker network "tombolo", gives each container on it an address, tells the linkers of
the other hosts, and answers the containers' DNS queries. Connections go on while it is
stopped.

Every flag has an environment variable: --pool6 is TOMBOLO_POOL6.`,
		Example: "  tombolo linker --join 192.0.2.11,192.0.2.12",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runLinker(cmd, &raw, version) },
	}
	raw.register(cmd.Flags())
	cmd.AddCommand(newLinkerStatusCommand())
	return cmd
}

func runLinker(cmd *cobra.Command, raw *linkerFlags, version string) error {
	if err := fromEnvironment(cmd.Flags(), os.LookupEnv); err != nil {
		return usageError{err}
	}
	cfg, err := raw.config()
	if err == nil {
		err = cfg.Validate()
	}
	if err != nil {
		return usageError{err}
	}
	if err := privilege.NeedRoot("the linker makes network interfaces and routes"); err != nil {
		return err
	}
	level := slog.LevelInfo
	if raw.debug {
		level = slog.LevelDebug
	}
	cfg.Version, cfg.Log = version, newLogger(cmd, level)
	err = daemon.RunLinker(cmd.Context(), cfg)
	var exit supervise.ExitError
	if errors.As(err, &exit) {
		return exitError(exit.Code) // the linker has printed why
	}
	return err
}

// linkerFlags are the flags of `tombolo linker`: those that set a field of the Config, and
// the texts of those that config parses.
type linkerFlags struct {
	cfg linker.Config

	underlay, pool, pool6, block, keyFile string
	blocked                               []uint
	debug                                 bool
}

func (f *linkerFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.cfg.Host, "host", "", "`name` of this host in the cluster (default: the host name of the machine)")
	flags.StringVar(&f.underlay, "underlay", "", "`address` by which other hosts reach this one (default: the address of the default route)")
	flags.StringSliceVar(&f.cfg.Join, "join", nil, "`address` of another host's linker; may be repeated")
	flags.StringVar(&f.pool, "pool", linker.DefaultPool4.String(), "IPv4 `range` of the overlay, the same on every host")
	flags.StringVar(&f.pool6, "pool6", "", "IPv6 `range` of the overlay, a /48, the same on every host (default: no IPv6)")
	flags.StringVar(&f.block, "block", "", "`range` for this host's containers, a /24 of the pool (default: a free one)")
	flags.StringVar(&f.cfg.Docker, "docker", "unix:///var/run/docker.sock", "`address` of this host's Docker Engine")
	flags.StringVar(&f.cfg.StateDir, "state-dir", "/var/lib/tombolo/linker", "`folder` for the state that the next run needs")
	flags.StringVar(&f.cfg.RunDir, "run-dir", "/run/tombolo", "`folder` for the API's socket")
	flags.StringVar(&f.cfg.PluginDir, "plugin-dir", "/run/docker/plugins", "`folder` in which Docker looks for plugins")
	flags.StringVar(&f.keyFile, "gossip-key-file", "", "`file` of the keys that encrypt gossip, the same on every host: one a line, "+
		"16, 24 or 32 bytes in base64 or hexadecimal; the first key encrypts, every key decrypts (default: gossip is not encrypted)")
	flags.StringVar(&f.cfg.Metrics, "metrics", "127.0.0.1:7982", "`address` and port at which Prometheus gets metrics over HTTP, at /metrics; empty: none")
	flags.Uint16Var(&f.cfg.GossipPort, "gossip-port", 7980, "TCP and UDP `port` on which linkers gossip")
	flags.Uint16Var(&f.cfg.VXLANPort, "vxlan-port", 8480, "UDP `port` of the VXLAN tunnel between hosts")
	flags.IntVar(&f.cfg.VNI, "vni", 1980, "`number` of the VXLAN network (VNI)")
	flags.UintSliceVar(&f.blocked, "blocked-ports", nil, "TCP `ports` that containers may not reach on any machine outside of the overlay, "+
		"besides the linker's own (default: ZooKeeper's 2181, Docker's 2375 and 2376, Mesos' 5050 and 5051, the framework's 7070)")
	flags.DurationVar(&f.cfg.JoinTimeout, "join-timeout", 10*time.Second, "how long a host that has never met another looks for the hosts to join, before it starts alone")
	flags.BoolVar(&f.debug, "debug", false, "log the reasons of decisions too")
}

// config turns the flags into a Config. It reports every flag that cannot be parsed.
func (f *linkerFlags) config() (linker.Config, error) {
	cfg := f.cfg
	var errs []error
	if f.keyFile != "" {
		var err error
		if cfg.Keys, err = secretfile.GossipKeys(f.keyFile); err != nil {
			errs = append(errs, fmt.Errorf("--gossip-key-file: %w", err))
		}
	}
	for _, p := range []struct {
		flag, text, example string
		into                encoding.TextUnmarshaler // unset by the empty text
	}{
		{"underlay", f.underlay, "192.0.2.11", &cfg.Underlay}, {"pool", f.pool, "10.99.0.0/16", &cfg.Pool4},
		{"pool6", f.pool6, "fd3c:8a1e:7b52::/48", &cfg.Pool6}, {"block", f.block, "10.99.7.0/24", &cfg.Block},
	} {
		if err := p.into.UnmarshalText([]byte(p.text)); err != nil {
			errs = append(errs, fmt.Errorf("--%s: %q is not like %s", p.flag, p.text, p.example))
		}
	}
	for _, port := range f.blocked {
		if port == 0 || port > 65535 {
			errs = append(errs, fmt.Errorf("--blocked-ports: %d is not a port, which has a number from 1 to 65535", port))
		}
		cfg.BlockedPorts = append(cfg.BlockedPorts, uint16(port))
	}
	return cfg, errors.Join(errs...)
}

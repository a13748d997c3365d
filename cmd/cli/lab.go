package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"tombolo/cmd/daemon"
	"tombolo/cmd/lab"
	"tombolo/cmd/privilege"
)

func newLabCommand() *cobra.Command {
	return group("lab", "Make virtual hosts on this machine, to try and test Tombolo",
		`A lab is several virtual hosts on this machine. Each is a set of namespaces with its own
Docker Engine and linker; one control daemon runs the framework for all. While a lab is
up, "tombolo up", "tombolo ps" and so on work on it. A lab needs root.`,
		labUp(), labDown(), labPs(), labExec(),
		labHostVerb("kill HOST", "Kill a host (kill -9), as a power cut would", (*lab.Lab).Kill),
		labHostVerb("start HOST", "Start a killed host again, with its disk", (*lab.Lab).Start),
		labHostVerb("partition HOST", "Cut a host off the network", (*lab.Lab).Partition),
		labHostVerb("heal HOST", "Connect a host to the network again", (*lab.Lab).Heal),
		labInit(), labRegistry())
}

// loadLab is lab.Load, with an error that asks for root if that is missing.
func loadLab() (*lab.Lab, error) {
	l, err := lab.Load()
	return l, privilege.Explain(err, lab.RunDir)
}

func labUp() *cobra.Command {
	var cfg lab.Config
	var engineConfig, pool string
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Make a lab and wait until it is ready",
		Args:  noArgs,

		PreRunE: needRoot("a lab makes network namespaces"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := exec.LookPath("dockerd"); err != nil {
				return errors.New("no dockerd here: a lab needs the Docker Engine (Debian and Ubuntu: apt-get install docker.io, or: make setup)")
			}
			self, err := os.Executable()
			if err != nil {
				return err
			}
			cfg.Binary, cfg.Log = self, newLogger(cmd, slog.LevelInfo)
			if engineConfig != "" {
				if cfg.Engine, err = lab.LoadEngineSettings(engineConfig); err != nil {
					return usageError{fmt.Errorf("--engine-config: %w", err)}
				}
			}
			if pool != "" {
				if cfg.Pool, err = daemon.ParsePool(pool); err != nil {
					return usageError{err}
				}
			}
			if err := cfg.Validate(); err != nil {
				return usageError{err}
			}
			l, err := lab.Up(cmd.Context(), cfg)
			switch {
			case err != nil && cmd.Context().Err() != nil && !errors.Is(err, lab.ErrLeft):
				fmt.Fprintln(cmd.ErrOrStderr(), "tombolo: interrupted; the unfinished lab is removed")
				return exitError(130)
			case err != nil:
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "lab of %d hosts is up: tombolo up works on it, tombolo lab ps lists it, tombolo lab down removes it\n", len(l.Hosts))
			return nil
		},
	}
	cmd.Flags().IntVar(&cfg.Hosts, "hosts", 3, "`number` of hosts, 1 to 50")
	cmd.Flags().BoolVar(&cfg.NoLinker, "engines-only", false, "make hosts with a Docker Engine and nothing else, for comparisons")
	cmd.Flags().BoolVar(&cfg.NoIPv6, "no-ipv6", false, "make an overlay without IPv6")
	cmd.Flags().StringVar(&pool, "pool", "", "IPv4 `range` of the containers (default: one that is free on this machine)")
	cmd.Flags().StringVar(&engineConfig, "engine-config", "", "`file` with settings of the hosts' Docker Engines, in the format of daemon.json")
	cmd.Flags().IntVar(&cfg.Owner, "owner", 0, "`number` of a process: the next lab may replace this one when that process has ended")
	must(cmd.Flags().MarkHidden("owner")) // for programs that make a lab
	cmd.Flags().BoolVar(&cfg.NoControl, "no-control", false, "make hosts with an Engine and a linker, but no control daemon")
	return cmd
}

func labDown() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Remove the lab, with its containers and volumes",
		Args:  noArgs,

		PreRunE: needRoot("a lab belongs to root"),
		RunE: func(*cobra.Command, []string) error {
			self, err := os.Executable()
			if err != nil {
				return err
			}
			if force {
				self = ""
			}
			return lab.Down(self)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "remove the lab also if another tombolo binary has made it")
	return cmd
}

func labPs() *cobra.Command {
	return &cobra.Command{
		Use:   "ps",
		Short: "List the lab's hosts",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := loadLab()
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "HOST\tSTATE\tUNDERLAY\tINIT\tDOCKER_HOST")
			for _, h := range l.Hosts {
				state := "dead"
				if h.Alive() {
					state = "up"
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", h.Name, state, h.Underlay, h.Init.PID, h.DockerHost())
			}
			if err := w.Flush(); err != nil {
				return err
			}
			if missing := l.Missing(); len(missing) > 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "has ended: %s (start again: tombolo lab up)\n", strings.Join(missing, ", "))
			}
			return nil
		},
	}
}

func labExec() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "exec HOST COMMAND [ARG...]",
		Short: "Run a command inside a host",
		Args:  takes(2, false, "a host and a command"),

		ValidArgsFunction: completer(labHosts).first,
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := loadLab()
			if err != nil {
				return err
			}
			h, err := l.Host(args[0])
			if err != nil {
				return err
			}
			if !h.Alive() {
				return fmt.Errorf("host %s is dead (start it with: tombolo lab start %s)", h.Name, h.Name)
			}
			command := args[1:]
			if command[0] == "--" && len(command) > 1 { // as other commands want it
				command = command[1:]
			}
			c := h.Command(command...)
			c.Stdin, c.Stdout, c.Stderr = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
			ends := make(chan os.Signal, 1) // Ctrl-C reaches the command by itself, because it has the terminal
			signal.Notify(ends, syscall.SIGTERM, syscall.SIGHUP)
			defer signal.Stop(ends)
			status, err := lab.Exec(c, ends)
			switch {
			case err != nil:
				return fmt.Errorf("run in %s: %w", h.Name, err)
			case status != 0:
				return exitError(status)
			}
			return nil
		},
	}
	cmd.Flags().SetInterspersed(false) // flags behind HOST belong to the command
	return cmd
}

func labHostVerb(use, short string, verb func(*lab.Lab, string) error) *cobra.Command {
	return &cobra.Command{
		Use:   use,
		Short: short,
		Args:  takes(1, true, "one host"),

		ValidArgsFunction: completer(labHosts).complete,
		RunE: func(_ *cobra.Command, args []string) error {
			l, err := loadLab()
			if err != nil {
				return err
			}
			return verb(l, args[0])
		},
	}
}

// labInit runs process 1 of a virtual host. Only the lab starts it.
func labInit() *cobra.Command {
	return &cobra.Command{
		Use:    "init CONFIG",
		Hidden: true,
		Args:   takes(1, true, "its configuration"),
		RunE: func(_ *cobra.Command, args []string) error {
			var cfg lab.InitConfig
			if err := json.Unmarshal([]byte(args[0]), &cfg); err != nil {
				return fmt.Errorf("parse init config: %w", err)
			}
			return lab.RunInit(cfg)
		},
	}
}

func labRegistry() *cobra.Command {
	return &cobra.Command{
		Use:    "registry",
		Hidden: true,
		Args:   noArgs,
		RunE:   func(cmd *cobra.Command, _ []string) error { return lab.RunRegistry(cmd.Context()) },
	}
}

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"tombolo/cmd/lab"
	"tombolo/cmd/privilege"
)

func newLabCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lab",
		Short: "Virtual hosts on this machine, for trying and testing",
		Long: `A lab is several virtual hosts on this machine: network namespaces, each with its
own Docker Engine, agent and linker, and one control daemon. While it is up,
'tombolo up' and its kin work on the lab.`,
		Args: unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(labUp(), labDown(), labPs(), labExec(),
		labHostVerb("kill HOST", "End a host as a power cut would (kill -9)", (*lab.Lab).Kill),
		labHostVerb("start HOST", "Bring a killed host back, with its disk", (*lab.Lab).Start),
		labHostVerb("partition HOST", "Cut a host from the network", (*lab.Lab).Partition),
		labHostVerb("heal HOST", "Plug a host in again", (*lab.Lab).Heal),
		labInit(), labRegistry())
	return cmd
}

// loadLab is lab.Load with a word for those who may not.
func loadLab() (*lab.Lab, error) {
	l, err := lab.Load()
	if errors.Is(err, fs.ErrPermission) {
		return nil, privilege.NeedRoot("a lab is root's")
	}
	return l, err
}

func labUp() *cobra.Command {
	var cfg lab.Config
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Make the lab and wait until it is ready",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := privilege.NeedRoot("a lab makes network namespaces"); err != nil {
				return err
			}
			if _, err := exec.LookPath("dockerd"); err != nil {
				return errors.New("no dockerd here: a lab needs the Docker Engine (Debian and Ubuntu: apt-get install docker.io, or: make setup)")
			}
			self, err := os.Executable()
			if err != nil {
				return err
			}
			cfg.Binary, cfg.Log = self, newLogger(cmd, slog.LevelInfo)
			if err := cfg.Validate(); err != nil {
				return usageError{err}
			}
			l, err := lab.Up(cmd.Context(), cfg)
			if err != nil {
				return labGone(cmd, err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "lab of %d hosts is up: tombolo up works on it, tombolo lab ps lists it, tombolo lab down removes it\n", len(l.Hosts))
			return nil
		},
	}
	cmd.Flags().IntVar(&cfg.Hosts, "hosts", 3, "how many hosts")
	cmd.Flags().BoolVar(&cfg.NoLinker, "engines-only", false, "hosts with a Docker Engine and nothing else, for comparisons")
	cmd.Flags().BoolVar(&cfg.NoIPv6, "no-ipv6", false, "an overlay of IPv4 alone")
	cmd.Flags().IntVar(&cfg.Owner, "owner", 0, "number of a process: once it has ended, nobody misses the lab")
	must(cmd.Flags().MarkHidden("owner")) // for programs that make one
	cmd.Flags().BoolVar(&cfg.NoControl, "no-control", false, "hosts with an Engine and a linker, but no control daemon")
	return cmd
}

// labGone explains a lab up that did not get to its end.
func labGone(cmd *cobra.Command, err error) error {
	if cmd.Context().Err() == nil || errors.Is(err, lab.ErrLeft) {
		return err
	}
	fmt.Fprintln(cmd.ErrOrStderr(), "tombolo: interrupted; what there was of the lab is removed")
	return exitError(130)
}

func labDown() *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "Remove the lab, with its containers and volumes",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := privilege.NeedRoot("a lab is root's"); err != nil {
				return err
			}
			return lab.Down()
		},
	}
}

func labPs() *cobra.Command {
	return &cobra.Command{
		Use:   "ps",
		Short: "List the hosts",
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
				fmt.Fprintf(cmd.ErrOrStderr(), "has ended: %s (start it again: tombolo lab up)\n", strings.Join(missing, ", "))
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
			if command[0] == "--" && len(command) > 1 { // as others want it
				command = command[1:]
			}
			c := h.Command(command...)
			c.Stdin, c.Stdout, c.Stderr = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
			var exit *exec.ExitError
			if err := c.Run(); errors.As(err, &exit) {
				return exitError(exit.ExitCode())
			} else if err != nil {
				return fmt.Errorf("run in %s: %w", h.Name, err)
			}
			return nil
		},
	}
	cmd.Flags().SetInterspersed(false) // what follows HOST belongs to the command
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

// labInit is process 1 of a virtual host; only the lab starts it.
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

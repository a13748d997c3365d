package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tombolo/cmd/lab"
	"tombolo/cmd/privilege"
	"tombolo/cmd/rundir"
	"tombolo/linker/api"
	"tombolo/linker/problem"
)

var defaultLinkerSocket = rundir.Default.Linker()

func newLinkerStatusCommand() *cobra.Command {
	var socket, format string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the linker's state and the hosts that it sees (in a lab: of every host)",
		Long: `Show the state of this host's linker, the hosts that it sees and its problems; in a lab, of
every host's linker. A host is not ready while it has a problem with the severity "outage":
then its containers cannot start, resolve names, reach a peer or be reached. Exit code 1 if
a linker does not answer or is not ready. REPAIRS counts what other programs changed in the
kernel and the linker put right. --format json also shows counters: repairs by kind, refused
packets and queries, failed calls of Docker, and input that could not be parsed.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := textOrJSON(format, "table"); err != nil {
				return err
			}
			sockets, err := linkerSockets(socket)
			if err != nil {
				return err
			}
			all, err := linkerStatuses(cmd.Context(), sockets)
			return errors.Join(printLinkers(cmd.OutOrStdout(), format, all), err, unready(all))
		},
	}
	linkerSocketFlag(cmd.Flags(), &socket)
	cmd.Flags().StringVar(&format, "format", "table", "output `format`: table or json")
	return cmd
}

// linkerStatuses asks each linker. The error names those that do not answer.
func linkerStatuses(ctx context.Context, sockets []string) ([]api.Status, error) {
	all := []api.Status{}
	var errs []error
	for _, socket := range sockets {
		errs = append(errs, askLinker(socket, func(c *api.Client) error {
			s, err := c.Status(ctx)
			if err == nil {
				all = append(all, s)
			}
			return err
		}))
	}
	return all, errors.Join(errs...)
}

func printLinkers(out io.Writer, format string, all []api.Status) error {
	if format == "json" {
		return json.NewEncoder(out).Encode(all)
	}
	if len(all) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "HOST\tREADY\tUNDERLAY\tBLOCK\tPEERS\tREPAIRS\tVERSION")
	for _, s := range all {
		ready := "no"
		if s.Ready {
			ready = "yes"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n", s.Host.Name, ready, s.Host.Underlay, s.Host.Block4, peerCount(s.Peers), repairs(s.Counters), s.Version)
	}
	return errors.Join(w.Flush(), printProblems(out, all))
}

// printProblems prints what is wrong on each host, what that means and what mends it.
func printProblems(out io.Writer, all []api.Status) error {
	var b strings.Builder
	for _, s := range all {
		for _, p := range s.Problems {
			printProblem(&b, s.Host.Name, p)
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// repairs returns how often the linker has put right what another program had changed.
func repairs(counters map[string]uint64) (n uint64) {
	for name, count := range counters {
		if strings.HasPrefix(name, "overlay.repaired_") {
			n += count
		}
	}
	return n
}

// printProblem prints a problem of a host as a paragraph.
func printProblem(w io.Writer, host string, p problem.Problem) {
	fmt.Fprintf(w, "\n%s: %s (%s)", host, p.Name, p.Severity)
	if p.Subject != "" {
		fmt.Fprintf(w, ": %s", p.Subject)
	}
	fmt.Fprintf(w, "\n  found:   %s\n  meaning: %s\n  remedy:  %s\n", p.Reason, p.Meaning, p.Remedy)
}

// peerCount returns texts like "2 alive" and "1 alive, h3 suspended".
func peerCount(peers []api.Peer) string {
	alive, others := 0, ""
	for _, p := range peers {
		if p.State == "alive" {
			alive++
		} else {
			others += fmt.Sprintf(", %s %s", p.Name, p.State)
		}
	}
	return fmt.Sprintf("%d alive%s", alive, others)
}

// unready returns an error that names the linkers that are not ready, with their outages.
func unready(all []api.Status) error {
	var errs []error
	for _, s := range all {
		if s.Ready {
			continue
		}
		before := len(errs)
		for _, p := range s.Problems {
			if p.Severity == problem.Outage {
				errs = append(errs, fmt.Errorf("%s: not ready: %s", s.Host.Name, p))
			}
		}
		if len(errs) == before {
			errs = append(errs, fmt.Errorf("%s: not ready yet", s.Host.Name))
		}
	}
	return errors.Join(errs...)
}

func linkerSocketFlag(flags *pflag.FlagSet, socket *string) {
	flags.StringVar(socket, "socket", "", "the linker's `socket` (default "+defaultLinkerSocket+"; in a lab, the sockets of every host)")
}

// linkerSockets lists the linkers to ask: the named one or, without a name, those of the
// lab's live hosts or, without a lab, this machine's.
func linkerSockets(named string) ([]string, error) {
	if named != "" {
		return []string{named}, nil
	}
	l, err := lab.Load()
	if errors.Is(err, lab.ErrNone) {
		return []string{defaultLinkerSocket}, nil
	}
	if err != nil {
		return nil, err
	}
	var sockets []string
	for _, h := range l.Hosts {
		if h.Alive() {
			sockets = append(sockets, h.LinkerSocket())
		}
	}
	if len(sockets) == 0 {
		return nil, errors.New("every host of the lab is dead (see: tombolo lab ps)")
	}
	return sockets, nil
}

// askLinker calls ask with a client of the linker at socket, and explains its error.
func askLinker(socket string, ask func(*api.Client) error) error {
	c := api.NewClient(socket)
	defer c.Close()
	err := ask(c)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no linker runs here (tombolo up starts one; on a cluster: systemctl start tombolo-linker): %w", err)
	}
	return privilege.Explain(err, socket)
}

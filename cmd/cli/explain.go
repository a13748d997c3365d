package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"tombolo/cmd/explain"
	"tombolo/cmd/lab"
	"tombolo/linker/api"
	walk "tombolo/linker/explain"
)

func newExplainCommand() *cobra.Command {
	var socket, format string
	cmd := &cobra.Command{
		Use:   "explain FROM TO[:PORT]",
		Short: "Say why one container can or cannot reach another",
		Long: `Go the way from one container to another step by step: name, target, policy, hosts, route,
neighbour, tunnel, listener and connection. The first step that fails is named, with what
to do about it.

FROM and TO are instances (web.1, shop/web.1, shop-web-1), services (web, shop/web), names
of containers, addresses, or "outside". PORT is like 5432 or 53/udp; a TCP port is tried
with a real connection, which carries no data. In a lab the linkers of both hosts are
asked; elsewhere only this host's linker can be, and the steps of other hosts are shown as
unknown.

Exit code 1 if a step fails.`,
		Example: "  tombolo explain web.1 db:5432\n  tombolo explain shop/web pay/api\n  tombolo explain outside web:80\n  tombolo explain web outside",
		Args:    takes(2, true, "FROM and TO"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := textOrJSON(format, "text"); err != nil {
				return err
			}
			linkers, err := linkersToAsk(socket)
			if err != nil {
				return err
			}
			found, err := explain.Explain(cmd.Context(), linkers, args[0], args[1])
			if err != nil {
				return err
			}
			return printExplanation(cmd.OutOrStdout(), format, found)
		},
	}
	linkerSocketFlag(cmd.Flags(), &socket)
	cmd.Flags().StringVar(&format, "format", "text", "output `format`: text or json")
	return cmd
}

// linkersToAsk lists the linkers that explain asks: as linkerSockets, with their hosts where
// these are known.
func linkersToAsk(socket string) ([]explain.Linker, error) {
	if socket != "" {
		return []explain.Linker{linkerAt("", socket)}, nil
	}
	l, err := lab.Load()
	if errors.Is(err, lab.ErrNone) {
		return []explain.Linker{linkerAt("", defaultLinkerSocket)}, nil
	}
	if err != nil {
		return nil, err
	}
	var all []explain.Linker
	for _, h := range l.Hosts {
		if h.Alive() {
			all = append(all, linkerAt(h.Name, h.LinkerSocket()))
		}
	}
	if len(all) == 0 {
		return nil, errors.New("every host of the lab is dead (see: tombolo lab ps)")
	}
	return all, nil
}

func linkerAt(host, socket string) explain.Linker {
	return explain.Linker{Host: host, Ask: func(ask func(*api.Client) error) error { return askLinker(socket, ask) }}
}

func printExplanation(out io.Writer, format string, e walk.Explanation) error {
	failure := e.Failure()
	if format == "json" {
		if err := json.NewEncoder(out).Encode(e); err != nil {
			return err
		}
	} else {
		for _, s := range e.Steps {
			fmt.Fprintf(out, "%-8s%s: %s\n", s.State, s.Name, s.Found)
		}
		if failure != nil {
			fmt.Fprintf(out, "\n%s does not reach %s.\n  found:  %s\n  remedy: %s\n", e.From, e.To, failure.Found, failure.Remedy)
		}
	}
	if failure != nil {
		return fmt.Errorf("%s does not reach %s: %s", e.From, e.To, failure.Name)
	}
	return nil
}

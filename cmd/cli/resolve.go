package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"tombolo/linker/api"
	"tombolo/linker/record"
)

func newResolveCommand() *cobra.Command {
	var from, socket string
	cmd := &cobra.Command{
		Use:   "resolve NAME",
		Short: "Look up a name as a container or the host sees it",
		Long: `Look up a name as the host sees it (db.shop, 2.db.shop, h1.host) or, with --from, as a
container sees it (db, an alias, a link). _5432._tcp.db.shop stands for a port; an
address finds its instance or service. Each line of the output is an address and what it
belongs to. The instances to which a service's address leads now follow it, indented.
That address is valid on one host only: another host has another one for the service.

Exit code 1 if the name does not exist in that view (NXDOMAIN) or no healthy instance
answers to it. Names outside of the overlay are not looked up.`,
		Example:           "  tombolo resolve db.shop\n  tombolo resolve db --from 1.web.shop",
		Args:              takes(1, true, "one name"),
		ValidArgsFunction: completer(hostViewNames).complete,
		RunE: func(cmd *cobra.Command, args []string) error {
			sockets, err := linkerSockets(socket)
			if err != nil {
				return err
			}
			r, err := resolveFrom(cmd.Context(), sockets, args[0], from)
			if err != nil {
				return err
			}
			return printResolution(cmd.OutOrStdout(), r, from)
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "the asking `container`: an ID, a name (HOST/NAME if several hosts have it), an overlay address, or an instance like 1.web.shop (default: the host asks)")
	must(cmd.RegisterFlagCompletionFunc("from", completer(instanceNames).complete))
	linkerSocketFlag(cmd.Flags(), &socket)
	return cmd
}

// resolveFrom looks up name in the view of the container from, which may also be the name
// of an instance.
func resolveFrom(ctx context.Context, sockets []string, name, from string) (api.Resolution, error) {
	r, err := resolveAt(ctx, sockets, name, from)
	if from == "" || !errors.Is(err, api.ErrNotFound) {
		return r, err
	}
	asker, aerr := resolveAt(ctx, sockets, from, "")
	if asker.Service {
		asker.Targets = asker.Instances
	}
	if aerr != nil || len(asker.Targets) == 0 {
		return r, fmt.Errorf("no container %q is on the overlay: name one by its ID, its name, its address (tombolo ps shows it), or as 1.SERVICE.APP", from)
	}
	return resolveAt(ctx, sockets, name, asker.Targets[0].Addr4.String())
}

// resolveAt asks one linker after the other until one knows the asking container. If none
// does, it returns the errors of those that failed for another reason too.
func resolveAt(ctx context.Context, sockets []string, name, from string) (api.Resolution, error) {
	var unknown, failed error
	for _, socket := range sockets {
		var r api.Resolution
		err := askLinker(socket, func(c *api.Client) (err error) {
			r, err = c.Resolve(ctx, name, from)
			return err
		})
		switch {
		case err == nil:
			return r, nil
		case errors.Is(err, api.ErrNotFound):
			unknown = err // the same from every linker
		default:
			failed = errors.Join(failed, err)
		}
	}
	return api.Resolution{}, errors.Join(failed, unknown)
}

func printResolution(w io.Writer, r api.Resolution, from string) error {
	switch {
	case !r.Exists && from != "":
		return fmt.Errorf("%s does not exist for %s (NXDOMAIN): nothing that it is linked to has this name", r.Name, from)
	case !r.Exists:
		return fmt.Errorf("%s does not exist for the host (NXDOMAIN): the host's names carry the app, like db.shop; "+
			"to ask as a container: --from 1.web.shop", r.Name)
	}
	if len(r.Targets) == 0 {
		return fmt.Errorf("%s exists, but no healthy instance answers to it now (NODATA)", r.Name)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	printTargets(table, "", r.Targets)
	printTargets(table, "  ", r.Instances)
	if err := table.Flush(); err != nil {
		return err
	}
	if r.Service && len(r.Instances) == 0 {
		return fmt.Errorf("no healthy instance answers at the address of %s now: connections are refused", r.Name)
	}
	return nil
}

func printTargets(w io.Writer, indent string, targets []record.Target) {
	for _, t := range targets {
		for _, addr := range []netip.Addr{t.Addr4, t.Addr6} {
			if addr.IsValid() {
				fmt.Fprintf(w, "%s%s\t%s\n", indent, addr, t.Name)
			}
		}
	}
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"tombolo/cmd/lab"
	"tombolo/cmd/privilege"
	"tombolo/cmd/rundir"
	"tombolo/linker/api"
)

// defaultLinkerSocket is the socket of this machine's linker.
var defaultLinkerSocket = rundir.Default.Linker()

func newResolveCommand() *cobra.Command {
	var from, socket string
	cmd := &cobra.Command{
		Use:   "resolve NAME",
		Short: "Look a name up as a container or as the host sees it",
		Long: `Look a name up as the host sees it (db.shop, 2.db.shop, h1.host), or with --from as
a container sees it (db, its aliases, its links); _5432._tcp.db.shop for a port, or an
address for whose it is. Prints one address and instance a line. Exit code 1 when the name does not exist for the asker (NXDOMAIN) or nothing
healthy stands behind it (NODATA). Names of the world outside are not looked up.`,
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
	cmd.Flags().StringVar(&from, "from", "", "look it up as this container: an ID, a name (HOST/NAME of several), an overlay address, or an instance like 1.web.shop")
	must(cmd.RegisterFlagCompletionFunc("from", completer(instanceNames).complete))
	cmd.Flags().StringVar(&socket, "socket", "", "the linker's socket (default "+defaultLinkerSocket+"; in a lab, every host's)")
	return cmd
}

// linkerSockets lists the linkers that may be asked: the one that was named, else
// those of the lab's living hosts, else the machine's own.
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

// resolveFrom looks name up in the view of from, which may be an instance's name too.
func resolveFrom(ctx context.Context, sockets []string, name, from string) (api.Resolution, error) {
	r, err := resolveAt(ctx, sockets, name, from)
	if from == "" || !errors.Is(err, api.ErrNotFound) {
		return r, err
	}
	asker, aerr := resolveAt(ctx, sockets, from, "")
	if aerr != nil || len(asker.Targets) == 0 {
		return r, fmt.Errorf("no container %q is on the overlay: name one by its ID, its name, its address (tombolo ps shows it), or as 1.SERVICE.APP", from)
	}
	return resolveAt(ctx, sockets, name, asker.Targets[0].Addr4.String())
}

// resolveAt asks one linker after the other until one knows the asking container.
// The others' errors matter only if none does.
func resolveAt(ctx context.Context, sockets []string, name, from string) (api.Resolution, error) {
	var errs []error
	for _, socket := range sockets {
		c := api.NewClient(socket)
		r, err := c.Resolve(ctx, name, from)
		c.Close()
		if err == nil {
			return r, nil
		}
		if errors.Is(err, os.ErrNotExist) {
			err = fmt.Errorf("no linker runs here: %w", err)
		}
		errs = append(errs, privilege.Explain(err, socket))
	}
	for _, err := range errs {
		if !errors.Is(err, api.ErrNotFound) {
			return api.Resolution{}, errors.Join(errs...)
		}
	}
	return api.Resolution{}, errs[0] // each says the same
}

func printResolution(w io.Writer, r api.Resolution, from string) error {
	switch {
	case !r.Exists && from != "":
		return fmt.Errorf("%s does not exist as %s sees it (NXDOMAIN): nothing that it is linked to has this name", r.Name, from)
	case !r.Exists:
		return fmt.Errorf("%s does not exist as the host sees it (NXDOMAIN): the host's names carry the app, "+
			"like db.shop; as a container sees it: --from 1.web.shop", r.Name)
	}
	if len(r.Targets) == 0 {
		return fmt.Errorf("%s exists, but nothing that answers stands behind it now (NODATA)", r.Name)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, t := range r.Targets {
		if t.Addr4.IsValid() {
			fmt.Fprintf(table, "%s\t%s\n", t.Addr4, t.Name)
		}
		if t.Addr6.IsValid() {
			fmt.Fprintf(table, "%s\t%s\n", t.Addr6, t.Name)
		}
	}
	return table.Flush()
}

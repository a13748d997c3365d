package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tombolo/linker/api"
)

func newHostCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "host",
		Short: "List the hosts of the cluster, and forget those that are gone for good",
		Args:  noArgs,
	}
	cmd.AddCommand(newHostListCommand(), newHostForgetCommand())
	return cmd
}

func newHostListCommand() *cobra.Command {
	var socket, format string
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List the hosts of the cluster",
		Long: `List the hosts as this host's linker sees them; in a lab, as that of the first host that
runs does. ID is the identity of a host: it stays the same when the host's name or address
changes. STATE is alive, suspended (the host does not answer: no name leads to its
containers, but it keeps its block) or left (it was forgotten). SINCE tells when this
linker first saw the host in this state.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := textOrJSON(format, "table"); err != nil {
				return err
			}
			var all []api.HostState
			err := askAnyLinker(socket, func(c *api.Client) (err error) {
				all, err = c.Hosts(cmd.Context())
				return err
			})
			if err != nil {
				return err
			}
			return printHosts(cmd.OutOrStdout(), format, all, time.Now())
		},
	}
	linkerSocketFlag(cmd.Flags(), &socket)
	cmd.Flags().StringVar(&format, "format", "table", "output `format`: table or json")
	return cmd
}

func newHostForgetCommand() *cobra.Command {
	var socket string
	var force bool
	cmd := &cobra.Command{
		Use:   "forget NAME",
		Short: "Forget a host that is gone for good, by its name or its ID",
		Long: `Forget a host that is gone for good: its containers and its block of addresses are free for
others, and nobody waits for it any more. If most of the known hosts are gone, the rest
claims no blocks until these are forgotten.

Every host ignores the records of a forgotten host for ever. If its machine comes back, it
takes another ID by itself. It keeps its containers, and it keeps its block if no other
host has taken the block by then. A host that is alive is only forgotten with --force.`,
		Args:              takes(1, true, "one host"),
		ValidArgsFunction: completer(hostNames).complete,
		RunE: func(cmd *cobra.Command, args []string) error {
			var h api.HostState
			err := askAnyLinker(socket, func(c *api.Client) (err error) {
				h, err = c.ForgetHost(cmd.Context(), args[0], force)
				return err
			})
			if err == nil {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "forgot host %s (%s)\n", h.Name, h.ID)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "forget the host although it is alive: it comes back with another ID")
	linkerSocketFlag(cmd.Flags(), &socket)
	return cmd
}

// askAnyLinker asks one linker after the other until one answers.
func askAnyLinker(socket string, ask func(*api.Client) error) error {
	sockets, err := linkerSockets(socket)
	if err != nil {
		return err
	}
	var failed error
	for _, socket := range sockets {
		err := askLinker(socket, ask)
		if err == nil || errors.Is(err, api.ErrInvalid) || errors.Is(err, api.ErrNotFound) {
			return err
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

func printHosts(out io.Writer, format string, all []api.HostState, now time.Time) error {
	if format == "json" {
		return json.NewEncoder(out).Encode(all)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tID\tADDRESS\tBLOCK\tSTATE\tSINCE\tVERSION")
	for _, h := range all {
		address, block, since := "-", "-", "-"
		if h.Underlay.IsValid() {
			address = h.Underlay.String()
		}
		if h.Block4.IsValid() {
			block = h.Block4.String()
		}
		if !h.Since.IsZero() {
			since = now.Sub(h.Since).Round(time.Second).String() + " ago"
		}
		version := h.Version
		if version == "" {
			version = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", h.Name, h.ID, address, block, h.State, since, version)
	}
	return w.Flush()
}

// hostNames are the names of the hosts that were not forgotten, for completion.
func hostNames(ctx context.Context, _ *cobra.Command) (names []string) {
	_ = askAnyLinker("", func(c *api.Client) error {
		all, err := c.Hosts(ctx)
		for _, h := range all {
			if h.State != api.HostLeft {
				names = append(names, h.Name)
			}
		}
		return err
	}) // without an answer there is nothing to complete
	return names
}

package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"tombolo/framework/api"
)

func newVolumeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "volume",
		Short: "List the volumes that tie instances to hosts, remove them, or free those of dead hosts",
		Args:  noArgs,
	}
	cmd.AddCommand(newVolumeListCommand(), newVolumeRemoveCommand(), newVolumeUnpinCommand())
	return cmd
}

func newVolumeListCommand() *cobra.Command {
	var f apiFlags
	var format string
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List the volumes that tie instances to hosts",
		Long: `List the volumes with which an instance has run, and the host that has their data. HOST STATE
is up, or away: the host neither offers resources nor is seen by another linker. USED BY
are the instances that run with the volume or wait for it. Volumes of the network, such as
NFS, tie nobody and are not listed.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := textOrJSON(format, "table"); err != nil {
				return err
			}
			client := f.client()
			defer client.Close()
			list, err := client.Volumes(cmd.Context())
			if err != nil {
				return f.explain(err)
			}
			return printVolumes(cmd.OutOrStdout(), format, list)
		},
	}
	f.register(cmd.Flags())
	cmd.Flags().StringVar(&format, "format", "table", "output `format`: table or json")
	return cmd
}

func newVolumeRemoveCommand() *cobra.Command {
	return changeVolumes(&cobra.Command{
		Use:   "rm VOLUME...",
		Short: "Remove volumes and their data from their hosts",
		Long: `Remove volumes and their data from their hosts. A volume that an instance runs with, or waits
for, is not removed: end its app first. Nor is one whose host cannot be reached.`,
	}, (*api.Client).RemoveVolume, func(v api.Volume) string {
		return fmt.Sprintf("removed volume %s and its data from %s", v.Name, v.Host)
	})
}

func newVolumeUnpinCommand() *cobra.Command {
	return changeVolumes(&cobra.Command{
		Use:   "unpin VOLUME...",
		Short: "Free volumes whose host is gone for good",
		Long: `Free volumes whose host is gone for good: the instances that wait for the host start elsewhere,
with an empty volume. The data on the host are not copied. If the host comes back, its old
data are still on it, and nothing uses them, unless an instance is placed there again. A
volume whose host is there is not freed.`,
	}, (*api.Client).UnpinVolume, func(v api.Volume) string {
		text := fmt.Sprintf("volume %s is no longer tied to %s: its next instance starts on any host, with an empty volume. The data on %s are lost to the app", v.Name, v.Host, v.Host)
		if len(v.UsedBy) > 0 {
			text += "\nstarting without its data: " + strings.Join(v.UsedBy, ", ")
		}
		return text
	})
}

// changeVolumes completes a command that does one thing to each volume.
func changeVolumes(cmd *cobra.Command, do func(*api.Client, context.Context, string) (api.Volume, error), say func(api.Volume) string) *cobra.Command {
	var f apiFlags
	cmd.Args = takes(1, false, "volumes")
	cmd.ValidArgsFunction = completer(volumeNames).complete
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client := f.client()
		defer client.Close()
		for _, name := range args {
			v, err := do(client, cmd.Context(), name)
			if err != nil {
				return f.explain(err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), say(v))
		}
		return nil
	}
	f.register(cmd.Flags())
	return cmd
}

func printVolumes(out io.Writer, format string, list []api.Volume) error {
	if format == "json" {
		return json.NewEncoder(out).Encode(list)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "VOLUME\tAPP\tHOST\tHOST STATE\tUSED BY")
	for _, v := range list {
		state := "away"
		if v.HostUp {
			state = "up"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", v.Name, cmp.Or(v.App, "-"), v.Host, state, cmp.Or(strings.Join(v.UsedBy, ", "), "-"))
	}
	return w.Flush()
}

// volumeNames are the names of the volumes, for completion.
func volumeNames(ctx context.Context, cmd *cobra.Command) (names []string) {
	client := completionAPI(cmd)
	defer client.Close()
	list, _ := client.Volumes(ctx) // without an answer there is nothing to complete
	for _, v := range list {
		names = append(names, v.Name)
	}
	return names
}

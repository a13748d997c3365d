package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"tombolo/framework/api"
)

// psFlags are the flags of `tombolo ps`.
type psFlags struct {
	apiFlags
	all, quiet bool
	format     string
}

func newPsCommand(project *projectFlags) *cobra.Command {
	var f psFlags
	cmd := &cobra.Command{
		Use:   "ps",
		Short: "List the app's instances: where each runs, and how it is",
		Args:  wholeApp,
		RunE:  func(cmd *cobra.Command, _ []string) error { return f.run(cmd, project) },
	}
	f.register(cmd.Flags())
	cmd.Flags().BoolVarP(&f.all, "all", "a", false, "of every app")
	cmd.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "only the IDs of the containers")
	cmd.Flags().StringVar(&f.format, "format", "table", "table or json")
	return cmd
}

func (f *psFlags) run(cmd *cobra.Command, project *projectFlags) error {
	if f.format != "table" && f.format != "json" {
		return usageError{fmt.Errorf("--format %q is neither table nor json", f.format)}
	}
	ctx := cmd.Context()
	client := f.client()
	defer client.Close()
	var apps []api.Status
	if f.all {
		var err error
		if apps, err = client.Apps(ctx); err != nil {
			return f.explain(err)
		}
	} else {
		name, err := project.name(ctx)
		if err != nil {
			return nameless(err)
		}
		one, err := client.App(ctx, name)
		if errors.Is(err, api.ErrNotFound) {
			return notUp(name)
		}
		if err != nil {
			return f.explain(err)
		}
		apps = []api.Status{one}
	}
	if f.quiet {
		return printContainers(cmd.OutOrStdout(), apps)
	}
	if f.format == "json" {
		return printInstancesJSON(cmd.OutOrStdout(), apps)
	}
	return printInstances(cmd.OutOrStdout(), apps, time.Now())
}

func printContainers(out io.Writer, apps []api.Status) error {
	var ids []string
	for _, a := range apps {
		for _, i := range a.Instances {
			if i.Container != "" {
				ids = append(ids, i.Container)
			}
		}
	}
	return printLines(out, ids)
}

func printInstancesJSON(out io.Writer, apps []api.Status) error {
	all := []api.Instance{}
	for _, a := range apps {
		all = append(all, a.Instances...)
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(all)
}

func printInstances(out io.Writer, apps []api.Status, now time.Time) error {
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	reasons := []string{"REASON"}
	fmt.Fprintln(w, "APP\tSERVICE\tINSTANCE\tHOST\tADDRESS\tSTATE\tHEALTH\tAGE\tPORTS\t")
	for _, a := range apps {
		for _, i := range a.Instances {
			fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t\n", i.App, i.Service, i.Slot,
				dash(i.Host), dash(i.Address), i.State, dash(i.Health), age(i, now), dash(portList(i.Ports)))
			reasons = append(reasons, oneLine(i.Reason))
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	width := math.MaxInt
	if size := terminalSize(out); size != nil {
		width, _ = size()
	}
	rows := strings.Split(table.String(), "\n")
	if utf8.RuneCountInString(rows[0])+len(reasons[0]) > width {
		reasons[0] = "" // they stand below
	}
	for n, reason := range reasons {
		if _, err := fmt.Fprintln(out, withReason(rows[n], reason, width)); err != nil {
			return err
		}
	}
	return nil
}

// withReason puts a reason behind its row, or where the row would be wider than the
// terminal on lines of its own below.
func withReason(row, reason string, width int) string {
	if reason == "" || utf8.RuneCountInString(row)+utf8.RuneCountInString(reason) <= width {
		return strings.TrimRight(row+reason, " ")
	}
	const indent = "    "
	lines, line := []string{strings.TrimRight(row, " ")}, indent
	for _, word := range strings.Fields(reason) {
		if line != indent && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines, line = append(lines, line), indent
		}
		if line != indent {
			line += " "
		}
		line += word
	}
	return strings.Join(append(lines, line), "\n")
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// age is that of the container, or else of the state.
func age(i api.Instance, now time.Time) string {
	since := i.Started
	if since.IsZero() {
		since = i.Since
	}
	if since.IsZero() {
		return "-"
	}
	switch d := now.Sub(since); {
	case d < time.Second:
		return "0s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}

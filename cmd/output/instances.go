package output

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"tombolo/framework/api"
)

// Instances prints a table of the instances of apps. On a terminal, a reason that does
// not fit behind its row stands below it.
func Instances(out io.Writer, apps []api.Status, now time.Time) error {
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	reasons := []string{"REASON"}
	fmt.Fprintln(w, "APP\tSERVICE\tINSTANCE\tHOST\tADDRESS\tSTATE\tHEALTH\tAGE\tPORTS\t")
	for _, i := range all(apps) {
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t\n", i.App, i.Service, i.Slot,
			dash(i.Host), dash(i.Address), i.State, dash(i.Health), age(i, now), dash(portList(i.Ports)))
		reasons = append(reasons, oneLine(i.Reason))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	width := math.MaxInt
	if size := TerminalSize(out); size != nil {
		width, _ = size()
	}
	rows := strings.Split(table.String(), "\n")
	if utf8.RuneCountInString(rows[0])+len(reasons[0]) > width {
		reasons[0] = "" // every reason stands below its row
	}
	for n, reason := range reasons {
		if _, err := fmt.Fprintln(out, withReason(rows[n], reason, width)); err != nil {
			return err
		}
	}
	return nil
}

// InstancesJSON prints the instances of apps as the API has them, in one JSON list.
func InstancesJSON(out io.Writer, apps []api.Status) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(append([]api.Instance{}, all(apps)...)) // an empty list, never null
}

// Containers prints the IDs of the instances' containers, one a line.
func Containers(out io.Writer, apps []api.Status) error {
	var ids []string
	for _, i := range all(apps) {
		if i.Container != "" {
			ids = append(ids, i.Container)
		}
	}
	return Lines(out, ids)
}

// Lines prints one text a line.
func Lines(out io.Writer, lines []string) error {
	for _, line := range lines {
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return nil
}

func all(apps []api.Status) []api.Instance {
	var instances []api.Instance
	for _, a := range apps {
		instances = append(instances, a.Instances...)
	}
	return instances
}

// withReason puts a reason behind its row or, if the row would be wider than the
// terminal, on lines of its own below.
func withReason(row, reason string, width int) string {
	if reason == "" || utf8.RuneCountInString(row)+utf8.RuneCountInString(reason) <= width {
		return strings.TrimRight(row+reason, " ")
	}
	const indent = "   " // and a blank before each word
	text, line := strings.TrimRight(row, " "), indent
	for _, word := range strings.Fields(reason) {
		if line != indent && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			text += "\n" + line
			line = indent
		}
		line += " " + word
	}
	return text + "\n" + line
}

func dash(s string) string { return cmp.Or(s, "-") }

// age is the age of the container or, if there is none, of the state.
func age(i api.Instance, now time.Time) string {
	since := cmp.Or(i.Started, i.Since)
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

// ready reports whether an instance is as the app wants it: up, or done if it was to end.
func ready(i api.Instance) bool { return i.State == api.StateUp || i.State == api.StateDone }

func instanceName(i api.Instance) string { return fmt.Sprintf("%s.%d", i.Service, i.Slot) }

// Describe returns one line about an instance: its name, state, host, address and the
// reason of its state.
func Describe(i api.Instance) string {
	line := fmt.Sprintf("%s %s", instanceName(i), i.State)
	if i.Host != "" {
		line += " on " + i.Host
	}
	if i.Address != "" {
		line += " " + i.Address
	}
	if i.Reason != "" {
		line += ": " + oneLine(i.Reason)
	}
	return line
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// Summary returns a few words about an app: how many of its instances are up, and why it
// failed.
func Summary(s api.Status) string {
	up := 0
	for _, i := range s.Instances {
		if ready(i) {
			up++
		}
	}
	state := fmt.Sprintf("%d of %d instances up", up, len(s.Instances))
	if s.Removing {
		state = fmt.Sprintf("being removed, %d instances left", len(s.Instances))
	}
	if s.Failed != "" {
		state += "; " + s.Failed
	}
	return state
}

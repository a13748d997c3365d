package cli

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write the generated part of docs/commands.md")

// The part of docs/commands.md above the mark is written by hand.
const (
	referencePage = "../../docs/commands.md"
	referenceMark = "<!-- Generated from the commands: go test ./cmd/cli -run TestCommandReferenceMatchesTheCommands -update -->\n\n"
)

func TestCommandReferenceMatchesTheCommands(t *testing.T) {
	t.Setenv("TOMBOLO_API", "") // it is a default
	text, err := os.ReadFile(referencePage)
	if err != nil {
		t.Fatal(err)
	}
	intro, got, ok := strings.Cut(string(text), referenceMark)
	if !ok {
		t.Fatalf("%s has no line %q", referencePage, referenceMark)
	}
	want := reference()
	if *update {
		if err := os.WriteFile(referencePage, []byte(intro+referenceMark+want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s differs from the commands; refresh it with -update (-commands +page):\n%s", referencePage, diff)
	}
}

func TestEveryCommandExplainsItself(t *testing.T) {
	for _, cmd := range documented(newRootCommand("dev")) {
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: the short help %q is empty or ends with a full stop", cmd.CommandPath(), cmd.Short)
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s --%s has no help", cmd.CommandPath(), f.Name)
			}
		})
	}
}

// reference describes every command that a user may call, and the commands and flags of
// docker compose that Tombolo refuses.
func reference() string {
	var b strings.Builder
	root := newRootCommand("dev")
	root.InitDefaultCompletionCmd()
	for _, cmd := range documented(root) {
		describe(&b, cmd, root)
	}
	b.WriteString("## Refused: commands and flags of docker compose\n\n" +
		"Tombolo does not have the following commands and flags of `docker compose`. They fail with exit code 2 and name the alternative.\n\n" +
		"| refused | instead |\n|---|---|\n")
	for _, m := range []map[string]string{alternatives, flagAlternatives} {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			fmt.Fprintf(&b, "| `%s` | %s |\n", name, m[name])
		}
	}
	return b.String()
}

// documented returns cmd and the commands below it, without the hidden ones, the help
// command and the completion scripts of the shells.
func documented(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "help" && cmd.Name() != "completion" {
			all = append(all, documented(sub)...)
		}
	}
	return all
}

func describe(b *strings.Builder, cmd, root *cobra.Command) {
	long := cmd.Long
	if long == "" {
		long = cmd.Short + "."
	}
	fmt.Fprintf(b, "## %s\n\n%s\n\n    %s\n\n", cmd.CommandPath(), strings.TrimSpace(long), cmd.UseLine())
	if cmd.Example != "" {
		fmt.Fprintf(b, "For example:\n\n  %s\n\n", strings.ReplaceAll(cmd.Example, "\n", "\n  "))
	}
	var rows []string
	project := false
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		of := root.Flags().Lookup(f.Name)
		switch {
		case f.Hidden || f.Name == "help":
		case cmd != root && of != nil && of.Usage == f.Usage && of.Shorthand == f.Shorthand:
			project = true
		default:
			rows = append(rows, flagRow(f))
		}
	})
	if len(rows) > 0 {
		fmt.Fprintf(b, "| flag | meaning | default |\n|---|---|---|\n%s\n", strings.Join(rows, ""))
	}
	if project {
		b.WriteString("The flags of [tombolo](#tombolo) may also stand behind this command.\n\n")
	}
}

func flagRow(f *pflag.Flag) string {
	value, usage := pflag.UnquoteUsage(f)
	name := "`--" + strings.TrimSpace(f.Name+" "+value) + "`"
	if f.Shorthand != "" {
		name = "`-" + f.Shorthand + "`, " + name
	}
	standard := strings.Trim(f.DefValue, "[]")
	if standard != "" && standard != "false" {
		standard = "`" + standard + "`"
	} else {
		standard = ""
	}
	return fmt.Sprintf("| %s | %s | %s |\n", name, usage, standard)
}

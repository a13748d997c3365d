package cli

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tombolo/framework/api"
	"tombolo/framework/app"
)

// logsFlags are the flags of `tombolo logs`.
type logsFlags struct {
	apiFlags
	follow, timestamps, noColour, noPrefix bool
	tail                                   string
}

func newLogsCommand(project *projectFlags) *cobra.Command {
	var f logsFlags
	cmd := &cobra.Command{
		Use:   "logs [SERVICE...]",
		Short: "Show what the app's instances print",
		Long: `Show what the app's instances print, or those of some services. With --follow go on
with what comes, of later instances too, until Ctrl-C.`,
		Example:           "  tombolo logs -p shop -f web\n  tombolo -f shop/compose.yaml logs --tail 20",
		ValidArgsFunction: completer(project.serviceNames).complete,
		RunE:              func(cmd *cobra.Command, services []string) error { return f.run(cmd, project, services) },
	}
	flags := cmd.Flags()
	f.register(flags)
	project.registerAs(flags, "") // -f is --follow
	completeProject(cmd)
	flags.BoolVarP(&f.follow, "follow", "f", false, "go on with what comes, until Ctrl-C")
	flags.StringVarP(&f.tail, "tail", "n", "all", "how many earlier lines of each instance, or all")
	flags.BoolVarP(&f.timestamps, "timestamps", "t", false, "show when each line was printed")
	flags.BoolVar(&f.noColour, "no-color", false, "no colours on a terminal")
	flags.BoolVar(&f.noPrefix, "no-log-prefix", false, "do not name the instance before each line")
	return cmd
}

func (f *logsFlags) run(cmd *cobra.Command, project *projectFlags, services []string) error {
	ctx := cmd.Context()
	query := api.LogQuery{Follow: f.follow}
	if f.tail != "all" {
		n, err := strconv.Atoi(f.tail)
		if err != nil || n < 0 {
			return usageError{fmt.Errorf("--tail %q is neither a number nor all", f.tail)}
		}
		if query.Tail = n; n == 0 {
			query.Tail = -1
		}
	}
	name, err := project.name(ctx)
	if err != nil {
		return nameless(err)
	}
	client := f.client()
	defer client.Close()
	spec, err := client.Spec(ctx, name)
	if errors.Is(err, api.ErrNotFound) {
		return notUp(name)
	}
	if err != nil {
		return f.explain(err)
	}
	for _, s := range services {
		if _, ok := spec.Services[s]; !ok {
			return noSuchService(name, s)
		}
	}
	if len(services) == 1 {
		query.Service = services[0]
	}
	lines := f.printer(cmd.OutOrStdout(), spec.Services)
	err = client.Logs(ctx, name, query, func(l api.LogLine) error {
		if len(services) > 0 && !slices.Contains(services, l.Service) {
			return nil
		}
		return lines.print(l)
	})
	if f.follow && ctx.Err() != nil && !errors.Is(err, api.ErrNotFound) {
		return nil // Ctrl-C is how following ends
	}
	return f.explain(err)
}

// logPrinter writes lines with the instance that they are of.
type logPrinter struct {
	out        io.Writer
	width      int
	colour     bool
	prefix     bool
	timestamps bool
}

func (f *logsFlags) printer(out io.Writer, services map[string]app.Service) *logPrinter {
	p := &logPrinter{out: out, prefix: !f.noPrefix, timestamps: f.timestamps}
	if file, ok := out.(*os.File); ok && !f.noColour && os.Getenv("NO_COLOR") == "" {
		p.colour = term.IsTerminal(int(file.Fd()))
	}
	for name, s := range services {
		p.width = max(p.width, len(name)+1+len(strconv.Itoa(max(s.Replicas, 1))))
	}
	return p
}

// Colours of prefixes: not red, which means trouble, nor black or white.
var colours = []string{"36", "33", "32", "35", "34", "96", "93", "92", "95", "94"}

func (p *logPrinter) print(l api.LogLine) error {
	head := ""
	if p.prefix {
		name := fmt.Sprintf("%s.%d", l.Service, l.Slot)
		head = fmt.Sprintf("%-*s  | ", p.width, name)
		if p.colour {
			h := fnv.New32a()
			h.Write([]byte(name))
			head = "\x1b[" + colours[h.Sum32()%uint32(len(colours))] + "m" + head + "\x1b[0m"
		}
	}
	if p.timestamps && !l.Time.IsZero() {
		head += l.Time.Format(time.RFC3339Nano) + " "
	}
	_, err := fmt.Fprintln(p.out, head+l.Line)
	return err
}

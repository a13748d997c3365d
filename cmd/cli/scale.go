package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"tombolo/framework/app"
)

func newScaleCommand(project *projectFlags) *cobra.Command {
	var f upFlags
	cmd := &cobra.Command{
		Use:   "scale SERVICE=N...",
		Short: "Change the number of instances of services, until the next up",
		Long: `Change the number of instances of services of an app that is up, and wait until all are
up. The Compose file does not change: the next up restores the numbers of the file.`,
		Example:           "  tombolo -p shop scale web=5",
		Args:              takes(1, false, "services and numbers, like web=3"),
		ValidArgsFunction: completer(project.serviceNames).complete,
		RunE:              func(cmd *cobra.Command, args []string) error { return f.scale(cmd, project, args) },
	}
	f.register(cmd.Flags())
	f.registerWait(cmd.Flags())
	return cmd
}

// scale submits the app again as it is, with other numbers of replicas.
func (f *upFlags) scale(cmd *cobra.Command, project *projectFlags, args []string) error {
	numbers, err := parseScale(args)
	if err != nil {
		return usageError{err}
	}
	client := f.client()
	defer client.Close()
	wanted, err := f.spec(cmd.Context(), client, project)
	if err != nil {
		return err
	}
	if err := setReplicas(&wanted, numbers); err != nil {
		return err
	}
	return f.put(cmd, client, &wanted)
}

// parseScale reads words like web=3: service and number of instances.
func parseScale(words []string) (map[string]int, error) {
	numbers := map[string]int{}
	for _, word := range words {
		service, number, _ := strings.Cut(word, "=")
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 || service == "" {
			return nil, fmt.Errorf("%q is not SERVICE=NUMBER, like web=3", word)
		}
		numbers[service] = n
	}
	return numbers, nil
}

func setReplicas(a *app.App, numbers map[string]int) error {
	for name, n := range numbers {
		s, ok := a.Services[name]
		switch {
		case !ok:
			return noSuchService(a.Name, name)
		case s.Global:
			return fmt.Errorf("service %s cannot be scaled: it has an instance on every host (deploy.mode: global)", name)
		}
		s.Replicas = n
		a.Services[name] = s
	}
	return nil
}

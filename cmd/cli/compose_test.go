package cli

import (
	"errors"
	"strings"
	"testing"

	"tombolo/cmd/errortest"
)

func TestWrongCommandLinesSayWhatToDo(t *testing.T) {
	for args, want := range map[string]string{
		"foo":                     `unknown command "foo" (see: tombolo --help)`,
		"daemon foo":              `unknown command "daemon foo" (see: tombolo daemon --help)`,
		"exec -it web sh":         "docker exec -it CONTAINER COMMAND",
		"-p shop restart web":     "another takes its place",
		"up --nosuch":             "unknown flag: --nosuch (see: tombolo up --help)",
		"up --force-recreate":     "up replaces what the file changed",
		"down -t 5":               "stop_grace_period: in the file",
		"down --timeout 5":        "stop_grace_period: in the file",
		"up --wait-timeout -3":    "neither a number of seconds",
		"up --wait-timeout=-1m":   "neither a number of seconds",
		"up --scale web":          `--scale: "web" is not SERVICE=NUMBER, like web=3`,
		"scale web=-1":            `"web=-1" is not SERVICE=NUMBER, like web=3`,
		"scale":                   "scale takes services and numbers",
		"framework --master m x":  "takes no arguments",
		"ps --format xml":         "neither table nor json",
		"logs --since 5":          "unknown flag: --since",
		"resolve":                 "resolve takes one name",
		"linker status --format=": "neither table nor json",
	} {
		root := newRootCommand("dev")
		root.SetArgs(strings.Fields(args))
		err := root.ExecuteContext(t.Context())
		errortest.Contains(t, err, want)
		var usage usageError
		if !errors.As(err, &usage) {
			t.Errorf("tombolo %s ends with %v, which is not a usageError", args, err)
		}
	}
}

func TestAlternativesAreForWordsThatTomboloLacks(t *testing.T) {
	for flag := range flagAlternatives {
		command, name, _ := strings.Cut(flag, " --")
		cmd, _, err := newRootCommand("dev").Find([]string{command})
		if err != nil || cmd.Name() != command || cmd.Flags().Lookup(name) != nil {
			t.Errorf("there is an alternative for %q, but that command is unknown or has the flag (found %s, error %v)", flag, cmd.Name(), err)
		}
	}
	for word := range alternatives {
		cmd, _, err := newRootCommand("dev").Find([]string{word})
		if err != nil || !cmd.Hidden {
			t.Errorf("there is an alternative for %q, but that is a command", word)
		}
	}
}

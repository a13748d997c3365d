package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// What docker compose has and tombolo has not: what to do instead, by command.
var insteadOf = map[string]string{
	"attach":  "tombolo logs -f shows what instances print",
	"build":   "tombolo up builds what has build:",
	"cp":      onHost("docker cp"),
	"create":  "tombolo up creates and starts",
	"events":  "tombolo ps shows how the instances are, and why",
	"exec":    onHost("docker exec -it CONTAINER COMMAND"),
	"images":  "tombolo config --images lists them",
	"kill":    "tombolo down ends the app, tombolo scale SERVICE=0 a service of it",
	"ls":      "tombolo ps -a lists every app's instances",
	"pause":   onHost("docker pause CONTAINER"),
	"port":    "tombolo ps shows the ports",
	"pull":    "each host pulls what it runs; with pull_policy: always in the file, each time",
	"push":    "tombolo up hands what it builds to the cluster's registry",
	"restart": "end an instance, and another takes its place: " + onHost("docker stop CONTAINER"),
	"rm":      "nothing that has ended stays; tombolo down removes the app",
	"run":     `give the file a service with restart: "no", and run tombolo up; for a container of its own: docker run --network tombolo IMAGE`,
	"start":   "tombolo up starts what is not there; tombolo scale SERVICE=N a service that was scaled to 0",
	"stats":   onHost("docker stats"),
	"stop":    "tombolo down ends the app (its volumes stay), tombolo scale SERVICE=0 a service of it",
	"top":     onHost("docker top CONTAINER"),
	"unpause": onHost("docker unpause CONTAINER"),
	"wait":    "tombolo up waits until the app is up",
	"watch":   "tombolo up brings what has changed",
}

// The same, by command and flag.
var insteadOfFlag = map[string]string{
	"down --rmi":                   "images stay on the hosts; there: docker image prune",
	"down --timeout":               "stop_grace_period: in the file says how long a service may take",
	"up --abort-on-container-exit": upAttaches,
	"up --always-recreate-deps":    upReplaces,
	"up --attach":                  upAttaches,
	"up --attach-dependencies":     upAttaches,
	"up --exit-code-from":          upAttaches,
	"up --force-recreate":          upReplaces,
	"up --menu":                    upAttaches,
	"up --no-attach":               upAttaches,
	"up --no-deps":                 "up is for a whole app",
	"up --no-recreate":             "what the file did not change runs on anyway",
	"up --no-start":                "up starts what it creates",
	"up --pull":                    "pull_policy: in the file says when the hosts pull",
	"up --renew-anon-volumes":      "anonymous volumes go with their container",
	"up --timeout":                 "stop_grace_period: in the file says how long a service may take",
	"up --watch":                   "run up again after a change",
}

const (
	upAttaches = "up shows no logs; tombolo logs -f does"
	upReplaces = "up replaces what the file changed; to start all anew: tombolo down, then tombolo up"
)

func onHost(command string) string {
	return "tombolo ps shows the instance's host and tombolo ps -q its container; on that host: " + command
}

// composeWords are commands for fingers that know docker compose: they say what to
// do instead.
func composeWords() []*cobra.Command {
	var all []*cobra.Command
	for word, instead := range insteadOf {
		all = append(all, &cobra.Command{
			Use:    word,
			Hidden: true,

			DisableFlagParsing: true,
			RunE: func(*cobra.Command, []string) error {
				return usageError{fmt.Errorf("there is no command %q: %s", word, instead)}
			},
		})
	}
	return all
}

// flagFault explains a flag that cannot be.
func flagFault(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		name := unknown.GetSpecifiedName()
		if name == "t" {
			name = "timeout"
		}
		if instead, ok := insteadOfFlag[words(cmd)+" --"+name]; ok {
			return usageError{fmt.Errorf("%w: %s", err, instead)}
		}
	}
	return usageError{fmt.Errorf("%w (see: %s --help)", err, cmd.CommandPath())}
}

package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// alternatives says, for each command of docker compose that Tombolo does not have, what
// to do instead.
var alternatives = map[string]string{
	"attach":  "tombolo logs -f shows the output of instances",
	"build":   "tombolo up builds the images of services with build:",
	"cp":      onHost("docker cp"),
	"create":  "tombolo up creates and starts containers",
	"events":  "tombolo ps shows the states of instances and their reasons",
	"exec":    onHost("docker exec -it CONTAINER COMMAND"),
	"images":  "tombolo config --images lists them",
	"kill":    "tombolo down stops the app, tombolo scale SERVICE=0 one of its services",
	"ls":      "tombolo ps -a lists the instances of every app",
	"pause":   onHost("docker pause CONTAINER"),
	"port":    "tombolo ps shows the published ports",
	"pull":    "each host pulls the images that it runs; with pull_policy: always in the file, at every start",
	"push":    "tombolo up pushes the images that it builds to the cluster's registry",
	"restart": "stop an instance, and another takes its place: " + onHost("docker stop CONTAINER"),
	"rm":      "stopped containers are removed anyway; tombolo down removes the app",
	"run":     `add a service with restart: "no" to the file and run tombolo up; for a container outside of the app: docker run --network tombolo IMAGE`,
	"start":   "tombolo up starts instances that are missing; tombolo scale SERVICE=N a service that was scaled to 0",
	"stats":   onHost("docker stats"),
	"stop":    "tombolo down stops the app and keeps its volumes, tombolo scale SERVICE=0 stops one of its services",
	"top":     onHost("docker top CONTAINER"),
	"unpause": onHost("docker unpause CONTAINER"),
	"wait":    "tombolo up waits until the app is up",
	"watch":   "run tombolo up again after a change",
}

// flagAlternatives says the same of flags, by command and flag.
var flagAlternatives = map[string]string{
	"down --rmi":                   "images stay on the hosts; to remove them there: docker image prune",
	"down --timeout":               "stop_grace_period: in the file says how long a service may take",
	"up --abort-on-container-exit": noLogs,
	"up --always-recreate-deps":    onlyChanges,
	"up --attach":                  noLogs,
	"up --attach-dependencies":     noLogs,
	"up --exit-code-from":          noLogs,
	"up --force-recreate":          onlyChanges,
	"up --menu":                    noLogs,
	"up --no-attach":               noLogs,
	"up --no-deps":                 "up acts on a whole app",
	"up --no-recreate":             "up keeps instances that the file does not change",
	"up --no-start":                "up starts what it creates",
	"up --pull":                    "pull_policy: in the file says when the hosts pull",
	"up --renew-anon-volumes":      "the anonymous volumes of an instance stay with it; tombolo down and up give it new ones",
	"up --timeout":                 "stop_grace_period: in the file says how long a service may take",
	"up --watch":                   "run tombolo up again after a change",
}

const (
	noLogs      = "up shows no logs; tombolo logs -f does"
	onlyChanges = "up replaces what the file changed; to start everything anew: tombolo down, then tombolo up"
)

func onHost(command string) string {
	return "tombolo ps shows the host of an instance and tombolo ps -q its container; on that host: " + command
}

// missingComposeCommands returns a hidden command for each alternative. It fails and
// names the alternative.
func missingComposeCommands() []*cobra.Command {
	var all []*cobra.Command
	for name, alternative := range alternatives {
		all = append(all, &cobra.Command{
			Use:    name,
			Hidden: true,

			DisableFlagParsing: true,
			RunE: func(*cobra.Command, []string) error {
				return usageError{fmt.Errorf("there is no command %q: %s", name, alternative)}
			},
		})
	}
	return all
}

// explainFlag explains the error of a flag that pflag refused.
func explainFlag(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		name := unknown.GetSpecifiedName()
		if name == "t" {
			name = "timeout"
		}
		if alternative, ok := flagAlternatives[words(cmd)+" --"+name]; ok {
			return usageError{fmt.Errorf("%w: %s", err, alternative)}
		}
	}
	return usageError{fmt.Errorf("%w (see: %s --help)", err, cmd.CommandPath())}
}

// Command tombolo links Docker containers across hosts. One binary holds the command
// line, the sidecar of each agent (linker), the Mesos framework and the lab.
package main

import (
	"os"

	"tombolo/cmd/cli"
)

// release is set at build time (-ldflags "-X main.release=v0.1.0").
var release = "dev"

func main() { os.Exit(cli.Run(os.Args[1:], release)) }

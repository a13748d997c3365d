// Command tombolo links Docker containers across hosts. One binary holds the command
// line, the linker of each host, the Mesos framework, the one-machine daemon and the lab.
package main

import (
	"os"

	"tombolo/cmd/cli"
)

// release is set at build time (-ldflags "-X main.release=v0.1.0").
var release = "dev"

func main() { os.Exit(cli.Run(os.Args[1:], release)) }

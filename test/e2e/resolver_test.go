package e2e

import (
	"strconv"
	"strings"
	"testing"
)

// Containers do not use Docker's own resolver, which would answer with the names of all other
// containers of the host.
func TestContainersDoNotUseDockersResolver(t *testing.T) {
	up(t, compose(t, "unheard", `
  web:
    image: %IMAGE%
    command: [serve, "80"]
`))
	web := allUp(t, "unheard", 1)[0]
	host, err := testLab.Host(web.Host)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := inInstance(t.Context(), web, "lookup", "web"); err != nil {
		t.Errorf("web cannot look up its own name: %v: %s", err, out)
	}
	version := inHost(t, *host, "docker", "version", "-f", "{{.Server.Version}}")
	if major, err := strconv.Atoi(strings.Split(version, ".")[0]); err != nil {
		t.Fatal(err)
	} else if major >= 26 {
		return // newer Engines always start it
	}
	pid := inHost(t, *host, "docker", "inspect", "-f", "{{.State.Pid}}", web.Container)
	for _, look := range [][]string{{"ss", "-Hlun"}, {"iptables", "-t", "nat", "-S"}} {
		out := inHost(t, *host, append([]string{"nsenter", "--net=/proc/" + pid + "/ns/net"}, look...)...)
		if strings.Contains(out, "127.0.0.11") {
			t.Errorf("%s shows Docker's resolver: %s", strings.Join(look, " "), out)
		}
	}
}

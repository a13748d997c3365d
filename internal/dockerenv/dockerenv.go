// Package dockerenv knows the environment variables that change what the docker command does. A
// program that gives the docker command variables of somebody else, such as those of a container, must
// not put these into its environment.
package dockerenv

import (
	"slices"
	"strings"
)

// prefixes begin the names of variables for the docker command, the Go runtime, the dynamic loader,
// the C library, and shells: on some hosts docker is a script that calls another program.
var prefixes = []string{
	"DOCKER", "BUILDKIT", "BUILDX", "COMPOSE", "MOBY", "CONTAINER", "OTEL_", "GO", "LD_", "GLIBC_", "MALLOC_", "SSL_", "XDG_", "LC_", "BASH", "SUDO",
}

// names are other such variables.
var names = []string{
	"PATH", "HOME", "USER", "TMPDIR", "TERM", "LANG", "LANGUAGE", "TZ", "TZDIR", "NO_COLOR", "ENV", "IFS", "SHELLOPTS", "PS4",
	"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "FTP_PROXY", "NO_PROXY", "REQUEST_METHOD",
	"RES_OPTIONS", "LOCALDOMAIN", "HOSTALIASES", "GCONV_PATH", "GETCONF_DIR", "LOCPATH", "NLSPATH", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID",
}

// Reads reports whether the docker command, or a program or a library that it uses, may read the
// variable. Upper and lower case are the same, because those of proxies are.
func Reads(name string) bool {
	name = strings.ToUpper(name)
	return slices.Contains(names, name) || slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

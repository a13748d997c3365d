package mesos

import (
	"errors"
	"net/url"
	"strings"
)

const schedulerPath = "/api/v1/scheduler"

// maxRedirects is how many redirects are followed without a pause. A standby points at
// the leader, but it goes on to point at a leader that has died.
const maxRedirects = 3

// targets are the URLs at which the client tries to subscribe: those of the configured
// masters in turn, or the one to which a master redirects.
type targets struct {
	masters   []string
	at        int    // index of the present one
	redirect  string // "": none
	redirects int    // in a row
}

func newTargets(masters []string) *targets {
	t := &targets{}
	for _, m := range masters {
		t.masters = append(t.masters, schedulerURL(m))
	}
	return t
}

// schedulerURL completes host:port or a URL without a path.
func schedulerURL(master string) string {
	if !strings.Contains(master, "://") {
		master = "http://" + master
	}
	u, err := url.Parse(master)
	if err == nil && strings.Trim(u.Path, "/") == "" {
		u.Path = schedulerPath
		return u.String()
	}
	return master
}

func (t *targets) url() string {
	if t.redirect != "" {
		return t.redirect
	}
	return t.masters[t.at]
}

// follow notes the redirect that err may be. It reports whether to try there at once.
func (t *targets) follow(err error) bool {
	var status *StatusError
	if !errors.As(err, &status) || status.redirect == "" || t.redirects >= maxRedirects {
		return false
	}
	t.redirect = status.redirect
	t.redirects++
	return true
}

// next turns to the next configured master.
func (t *targets) next() {
	t.redirects, t.redirect = 0, ""
	t.at = (t.at + 1) % len(t.masters)
}

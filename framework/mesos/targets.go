package mesos

import (
	"errors"
	"net/url"
	"strings"
)

const schedulerPath = "/api/v1/scheduler"

// maxRedirects is how many redirects are followed without a pause: a standby
// points at the leader, and a dead leader's standby points at the dead.
const maxRedirects = 3

// targets is where to subscribe: the configured masters in turn, or where one of
// them pointed.
type targets struct {
	masters   []string
	at        int
	redirect  string
	redirects int
}

func newTargets(masters []string) *targets {
	t := &targets{}
	for _, m := range masters {
		t.masters = append(t.masters, schedulerURL(m))
	}
	return t
}

// schedulerURL completes host:port, or a URL without a path.
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

// follow takes up a redirect and reports whether to go there at once.
func (t *targets) follow(err error) bool {
	var r *redirectError
	if !errors.As(err, &r) || t.redirects >= maxRedirects {
		return false
	}
	t.redirect = r.location
	t.redirects++
	return true
}

// next gives up on the present target.
func (t *targets) next() {
	t.redirects, t.redirect = 0, ""
	t.at = (t.at + 1) % len(t.masters)
}

// redirectError is a 307: Location is another master's scheduler endpoint.
type redirectError struct {
	location string
	status   *StatusError
}

func (e *redirectError) Error() string { return "redirected to " + e.location }
func (e *redirectError) Unwrap() error { return e.status }

// locate resolves a Location, which Mesos writes without a scheme, against the
// URL that answered with it.
func locate(from, location string) (string, error) {
	base, err := url.Parse(from)
	if err != nil {
		return "", err
	}
	u, err := base.Parse(location)
	if err != nil {
		return "", err
	}
	return u.String(), nil
}

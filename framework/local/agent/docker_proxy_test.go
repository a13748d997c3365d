package agent

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/local"
)

func TestOnlyTheRequestThatCreatesAContainerIsChanged(t *testing.T) {
	const create = "/v1.41/containers/create"
	for _, c := range []struct{ name, method, path, body, want string }{
		{"a container with a check", "POST", create, `{"Image":"i","Healthcheck":{"Test":["CMD-SHELL","exec x"],"Interval":5},"New":[1]}`,
			`{"Healthcheck":{"Interval":5,"Test":["CMD","/x","a b"]},"Image":"i","New":[1]}`},
		{"a container without a check", "POST", "/containers/create", `{"Image":"i"}`, `{"Healthcheck":{"Test":["CMD","/x","a b"]},"Image":"i"}`},
		{"a check that is no object", "POST", create, `{"Healthcheck":7}`, `{"Healthcheck":7}`},
		{"a body that is no object", "POST", create, `null`, `null`},
		{"a body that is no JSON", "POST", create, `{`, `{`},
		{"another path", "POST", "/v1.41/containers/create/x", `{}`, `{}`},
		{"an exec", "POST", "/v1.41/containers/abc/exec", `{"Cmd":["a"]}`, `{"Cmd":["a"]}`},
		{"a question", "GET", create, `{}`, `{}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
			setHealthcheck(r, []string{"/x", "a b"})
			got, err := io.ReadAll(r.Body)
			if err != nil || string(got) != c.want || r.ContentLength != int64(len(got)) {
				t.Errorf("the Engine gets %s of length %d, error %v; want %s", got, r.ContentLength, err, c.want)
			}
		})
	}
}

func TestHealthWordsComeFromTheTask(t *testing.T) {
	for _, c := range []struct {
		name, label, value, want, err string
	}{
		{"without a label there are none", "other", "x", "", ""},
		{"a list of words is taken", local.HealthcheckLabel, `["/x","a b"]`, "/x|a b", ""},
		{"an empty list is refused", local.HealthcheckLabel, `[]`, "", "is not a list of words"},
		{"a text is refused", local.HealthcheckLabel, `/x`, "", "is not a list of words"},
	} {
		t.Run(c.name, func(t *testing.T) {
			words, err := healthWords(mesos.TaskInfo{Labels: &mesos.Labels{Labels: []mesos.Label{{Key: c.label, Value: &c.value}}}})
			if got := strings.Join(words, "|"); got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("got %q, error %v; want %q, error %q", got, err, c.want, c.err)
			}
		})
	}
}

func TestTheDockerCommandGoesThroughTheProxy(t *testing.T) {
	for _, args := range [][]string{{"-H", "unix:///a", "run", "i"}, {"run", "i"}} {
		if got := strings.Join(through("unix:///p", args), " "); got != "-H unix:///p run i" {
			t.Errorf("%v goes to %q, want the proxy", args, got)
		}
	}
	env := withoutTLS([]string{"A=1", "DOCKER_TLS_VERIFY=1", "DOCKER_CERT_PATH=/c", "DOCKER_CONFIG=/d"})
	if got := strings.Join(env, " "); got != "A=1 DOCKER_CONFIG=/d" {
		t.Errorf("its environment is %q, want it without TLS", got)
	}
}

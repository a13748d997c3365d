package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/local"
)

// The docker command knows health checks only as a line for a shell; the Engine's API can run the
// words themselves. A docker run whose check is a list of words therefore talks to its Engine
// through a proxy, which puts the words into the request that creates the container. Everything
// else passes unchanged.

// healthWords returns the words of the task's health check; nil if its check is none or a line for
// a shell.
func healthWords(task mesos.TaskInfo) (words []string, err error) {
	for _, l := range task.GetLabels().GetLabels() {
		if l.Key != local.HealthcheckLabel {
			continue
		}
		if err := json.Unmarshal([]byte(l.GetValue()), &words); err != nil || len(words) == 0 {
			return nil, fmt.Errorf("label %s of the task: %q is not a list of words", l.Key, l.GetValue())
		}
	}
	return words, nil
}

// healthProxy is a proxy in front of an Engine, for one docker command.
type healthProxy struct {
	host   string // for docker's -H
	dir    string
	server *http.Server
	engine *http.Transport
	served chan struct{}
}

// newHealthProxy starts a proxy that makes words the health check of each container that is created
// through it. Only this process' user may connect to it.
func (e *dockerEngine) newHealthProxy(ctx context.Context, words []string) (*healthProxy, error) {
	dir, err := os.MkdirTemp("", "tombolo-docker") // mode 0700
	if err != nil {
		return nil, fmt.Errorf("proxy of the Docker Engine: %w", err)
	}
	socket := filepath.Join(dir, "docker.sock")
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", socket)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("proxy of the Docker Engine: %w", err), os.RemoveAll(dir))
	}
	dial := e.api.Dialer()
	p := &healthProxy{host: "unix://" + socket, dir: dir, served: make(chan struct{}), engine: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}}
	silent := log.New(io.Discard, "", 0) // docker tells of what fails
	p.server = &http.Server{ErrorLog: silent, ReadHeaderTimeout: engineWait, Handler: &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", "docker", "docker"
			setHealthcheck(r.Out, words)
		},
		Transport: p.engine, FlushInterval: -1, ErrorLog: silent,
	}}
	go func() {
		defer close(p.served)
		_ = p.server.Serve(l) // it ends when it is closed
	}()
	return p, nil
}

// close ends the proxy and its connections.
func (p *healthProxy) close() {
	_ = p.server.Close()
	<-p.served
	p.engine.CloseIdleConnections()
	_ = os.RemoveAll(p.dir)
}

// createPath matches the path of the request that creates a container.
var createPath = regexp.MustCompile(`^(/v[0-9.]+)?/containers/create$`)

// maxCreate is how large a request to create a container may be, in bytes.
const maxCreate = 16 << 20

// setHealthcheck makes words the command of the health check in a request that creates a container.
// A request that it cannot read goes on as it is; the Engine refuses it.
func setHealthcheck(r *http.Request, words []string) {
	if r.Method != http.MethodPost || !createPath.MatchString(r.URL.Path) || r.Body == nil {
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxCreate))
	if err == nil {
		body = withHealthcheck(body, words)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
}

func withHealthcheck(body []byte, words []string) []byte {
	var config, check map[string]json.RawMessage
	if json.Unmarshal(body, &config) != nil || config == nil {
		return body
	}
	if raw := config["Healthcheck"]; raw != nil && json.Unmarshal(raw, &check) != nil {
		return body
	}
	if check == nil {
		check = map[string]json.RawMessage{}
	}
	check["Test"] = asJSON(append([]string{"CMD"}, words...))
	config["Healthcheck"] = asJSON(check)
	return asJSON(config)
}

// asJSON encodes words, or what was JSON before.
func asJSON(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encode %v: %v", v, err))
	}
	return raw
}

// through returns the arguments of a docker command on the Engine at host instead of another one.
func through(host string, args []string) []string {
	if len(args) > 1 && args[0] == "-H" {
		args = args[2:]
	}
	return append([]string{"-H", host}, args...)
}

// withoutTLS returns an environment in which the docker command uses no TLS.
func withoutTLS(env []string) (kept []string) {
	for _, v := range env {
		if !strings.HasPrefix(v, "DOCKER_TLS") && !strings.HasPrefix(v, "DOCKER_CERT_PATH=") {
			kept = append(kept, v)
		}
	}
	return kept
}

package master

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/mesos/wire"
)

const (
	jsonType     = "application/json"
	protobufType = "application/x-protobuf"
	// maxBody bounds a call: an ACCEPT with 10,000 tasks is well below.
	maxBody = 64 << 20
)

// answer is what a call comes back with.
type answer struct {
	status int
	text   string
}

var accepted = answer{status: http.StatusAccepted}

func badRequest(format string, args ...any) answer {
	return answer{status: http.StatusBadRequest, text: fmt.Sprintf(format, args...)}
}

// Handler serves the scheduler API and what humans ask.
func (m *Master) Handler() http.Handler { return m.mux }

func (m *Master) routes() *http.ServeMux {
	mux := http.NewServeMux()
	for _, prefix := range []string{"", "/master"} {
		mux.HandleFunc(prefix+"/api/v1/scheduler", m.serveScheduler)
		mux.HandleFunc(prefix+"/api/v1/scheduler/{$}", m.serveScheduler)
		mux.HandleFunc(prefix+"/api/v1", m.serveOperator)
		mux.HandleFunc(prefix+"/health", m.serveHealth)
		mux.HandleFunc(prefix+"/version", m.serveVersion)
		mux.HandleFunc(prefix+"/state", m.serveState)
		mux.HandleFunc(prefix+"/redirect", m.serveRedirect)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, answer{status: http.StatusNotFound, text: "404 Not Found."})
	})
	return mux
}

func (m *Master) serveScheduler(w http.ResponseWriter, r *http.Request) {
	principal, ok := m.authenticate(r)
	if !ok {
		unauthorized(w, "mesos-master-scheduler")
		return
	}
	call, refusal := readCall(r)
	if refusal == nil {
		refusal = validateCall(call, principal)
	}
	if refusal != nil {
		refuseCall(w, *refusal)
		return
	}
	if call.Type == scheduler.Call_SUBSCRIBE {
		m.serveSubscribe(w, r, call)
		return
	}
	a, err := ask(r.Context(), m, func() answer {
		return m.call(call, principal, r.Header.Get("Mesos-Stream-Id"))
	})
	if err != nil {
		a = answer{status: http.StatusServiceUnavailable, text: err.Error()}
	}
	reply(w, a)
}

// authenticate returns who asks; everybody may when no credentials are set.
func (m *Master) authenticate(r *http.Request) (principal string, ok bool) {
	if len(m.config.Credentials) == 0 {
		return "", true
	}
	principal, secret, ok := r.BasicAuth()
	known, exists := m.config.Credentials[principal]
	return principal, ok && exists && known == secret
}

// readCall parses a request as a real master does, with its refusals.
func readCall(r *http.Request) (*scheduler.Call, *answer) {
	body, refusal := readBody(r)
	if refusal != nil {
		return nil, refusal
	}
	call := new(scheduler.Call)
	if r.Header.Get("Content-Type") == protobufType {
		if err := call.Unmarshal(body); err != nil {
			return nil, refused(badRequest("Failed to parse body into Call protobuf"))
		}
		return call, nil
	}
	return call, jsonRefusal(wire.Unmarshal(body, call))
}

func readBody(r *http.Request) ([]byte, *answer) {
	if r.Method != http.MethodPost {
		return nil, &answer{status: http.StatusMethodNotAllowed, text: fmt.Sprintf(
			"405 Method Not Allowed. Expecting one of { 'POST' }, but received '%s'.", r.Method)}
	}
	switch r.Header.Get("Content-Type") {
	case "":
		return nil, refused(badRequest("Expecting 'Content-Type' to be present"))
	case jsonType, protobufType:
	default:
		return nil, &answer{status: http.StatusUnsupportedMediaType,
			text: "Expecting 'Content-Type' of application/json or application/x-protobuf"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if err != nil {
		return nil, refused(badRequest("Failed to read body: %v", err))
	}
	return body, nil
}

func refuseCall(w http.ResponseWriter, refusal answer) {
	if refusal.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", http.MethodPost)
	}
	reply(w, refusal)
}

func unauthorized(w http.ResponseWriter, realm string) {
	w.Header().Set("WWW-Authenticate", `Basic realm="`+realm+`"`)
	reply(w, answer{status: http.StatusUnauthorized, text: "401 Unauthorized."})
}

func refused(a answer) *answer { return &a }

func jsonRefusal(err error) *answer {
	var syntax *wire.SyntaxError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &syntax):
		return refused(badRequest("Failed to parse body into JSON: %v", err))
	default:
		return refused(badRequest("Failed to convert JSON into Call protobuf: %v", err))
	}
}

func (m *Master) serveSubscribe(w http.ResponseWriter, r *http.Request, call *scheduler.Call) {
	json, protobuf := accepts(r, jsonType), accepts(r, protobufType)
	switch {
	case !json && !protobuf:
		reply(w, answer{status: http.StatusNotAcceptable,
			text: "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'"})
		return
	case r.Header.Get("Mesos-Stream-Id") != "":
		reply(w, badRequest("Subscribe calls should not include the 'Mesos-Stream-Id' header"))
		return
	}
	s := newStream(!json)
	defer m.inbox.Put(func() { m.disconnected(s) })
	if _, err := ask(r.Context(), m, func() bool { m.subscribe(s, call.Subscribe); return true }); err != nil {
		reply(w, answer{status: http.StatusServiceUnavailable, text: err.Error()})
		return
	}
	s.serve(w, r)
}

// accepts says whether the Accept header allows a media type; none allows all.
func accepts(r *http.Request, media string) bool {
	header := r.Header.Values("Accept")
	if len(header) == 0 {
		return true
	}
	for part := range strings.SplitSeq(strings.Join(header, ","), ",") {
		allowed, _, err := mime.ParseMediaType(part)
		if err == nil && (allowed == media || allowed == "*/*" || allowed == "application/*") {
			return true
		}
	}
	return false
}

func reply(w http.ResponseWriter, a answer) {
	if a.text != "" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	w.WriteHeader(a.status)
	io.WriteString(w, a.text)
}

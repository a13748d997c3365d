package master

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	operator "github.com/mesos/mesos-go/api/v1/lib/master"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/mesos/wire"
)

const (
	jsonType     = "application/json"
	protobufType = "application/x-protobuf"
	// maxBody is the greatest size of a call in bytes. An ACCEPT with 10,000 tasks is far
	// smaller.
	maxBody = 64 << 20
)

// server is the HTTP side of the master. Its handlers run on their own goroutines and
// ask the loop.
type server struct {
	address       string            // of the leading master, which is this one
	credentials   map[string]string // as in Config
	loop          *loop
	subscriptions *subscriptions
	calls         callHandler
}

// callHandler handles calls. The server calls it on the loop.
type callHandler interface {
	call(c *scheduler.Call, principal, streamID string) answer
	operate(c *operator.Call) answer
	state() clusterState
}

// answer is the response to a request.
type answer struct {
	status int
	text   string
}

var accepted = answer{status: http.StatusAccepted}

func badRequest(format string, args ...any) answer {
	return answer{status: http.StatusBadRequest, text: fmt.Sprintf(format, args...)}
}

func (s *server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	for _, prefix := range []string{"", "/master"} {
		mux.HandleFunc(prefix+"/api/v1/scheduler", s.serveScheduler)
		mux.HandleFunc(prefix+"/api/v1/scheduler/{$}", s.serveScheduler)
		mux.HandleFunc(prefix+"/api/v1", s.serveOperator)
		mux.HandleFunc(prefix+"/health", s.serveHealth)
		mux.HandleFunc(prefix+"/version", s.serveVersion)
		mux.HandleFunc(prefix+"/state", s.serveState)
		mux.HandleFunc(prefix+"/redirect", s.serveRedirect)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, answer{status: http.StatusNotFound, text: "404 Not Found."})
	})
	return mux
}

func (s *server) serveScheduler(w http.ResponseWriter, r *http.Request) {
	principal, ok := s.authenticate(w, r, "mesos-master-scheduler")
	if !ok {
		return
	}
	call, refusal := readCall(r)
	if refusal == nil {
		if fault := callFault(call, principal); fault != "" {
			refusal = new(badRequest("Failed to validate scheduler::Call: %s", fault))
		}
	}
	switch {
	case refusal != nil:
		reply(w, *refusal)
	case call.Type == scheduler.Call_SUBSCRIBE:
		s.serveSubscribe(w, r, call.Subscribe)
	default:
		s.answer(w, r, func() answer { return s.calls.call(call, principal, r.Header.Get("Mesos-Stream-Id")) })
	}
}

// serveSubscribe answers SUBSCRIBE with a stream of events.
func (s *server) serveSubscribe(w http.ResponseWriter, r *http.Request, call *scheduler.Call_Subscribe) {
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
	st := newStream(!json)
	defer s.loop.post(func() { s.subscriptions.streamEnded(st) })
	if _, err := ask(r.Context(), s.loop, func() bool { s.subscriptions.subscribe(st, call); return true }); err != nil {
		reply(w, unavailable(err))
		return
	}
	st.serve(w, r)
}

// serveOperator serves the part of the operator API that takes an agent out of service
// and back: MARK_AGENT_GONE, DEACTIVATE_AGENT, REACTIVATE_AGENT.
func (s *server) serveOperator(w http.ResponseWriter, r *http.Request) {
	if _, ok := s.authenticate(w, r, "mesos-master-readwrite"); !ok {
		return
	}
	call := new(operator.Call)
	body, refusal := readBody(r)
	if refusal == nil {
		refusal = jsonRefusal(wire.Unmarshal(body, call))
	}
	if refusal != nil {
		reply(w, *refusal)
		return
	}
	s.answer(w, r, func() answer { return s.calls.operate(call) })
}

// authenticate returns the principal of a request, which is empty if the master needs
// no credentials. It refuses a request with the wrong credentials by itself, and then
// returns ok=false.
func (s *server) authenticate(w http.ResponseWriter, r *http.Request, realm string) (principal string, ok bool) {
	if len(s.credentials) == 0 {
		return "", true
	}
	principal, secret, ok := r.BasicAuth()
	if known, exists := s.credentials[principal]; ok && exists && known == secret {
		return principal, true
	}
	w.Header().Set("WWW-Authenticate", `Basic realm="`+realm+`"`)
	reply(w, answer{status: http.StatusUnauthorized, text: "401 Unauthorized."})
	return "", false
}

// answer replies with what f returns on the loop.
func (s *server) answer(w http.ResponseWriter, r *http.Request, f func() answer) {
	a, err := ask(r.Context(), s.loop, f)
	if err != nil {
		a = unavailable(err)
	}
	reply(w, a)
}

func unavailable(err error) answer {
	return answer{status: http.StatusServiceUnavailable, text: err.Error()}
}

// readCall decodes a request, and refuses it in the words of Apache Mesos.
func readCall(r *http.Request) (*scheduler.Call, *answer) {
	body, refusal := readBody(r)
	if refusal != nil {
		return nil, refusal
	}
	call := new(scheduler.Call)
	if r.Header.Get("Content-Type") == protobufType {
		if err := call.Unmarshal(body); err != nil {
			return nil, new(badRequest("Failed to parse body into Call protobuf"))
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
		return nil, new(badRequest("Expecting 'Content-Type' to be present"))
	case jsonType, protobufType:
	default:
		return nil, &answer{status: http.StatusUnsupportedMediaType,
			text: "Expecting 'Content-Type' of application/json or application/x-protobuf"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if err != nil {
		return nil, new(badRequest("Failed to read body: %v", err))
	}
	return body, nil
}

// jsonRefusal returns the answer to a body for which wire.Unmarshal returned err. It is
// nil if err is nil.
func jsonRefusal(err error) *answer {
	var syntax *wire.SyntaxError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &syntax):
		return new(badRequest("Failed to parse body into JSON: %v", err))
	default:
		return new(badRequest("Failed to convert JSON into Call protobuf: %v", err))
	}
}

// accepts reports whether the Accept header allows a media type. A request without the
// header accepts all.
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
	if a.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", http.MethodPost)
	}
	w.WriteHeader(a.status)
	io.WriteString(w, a.text)
}

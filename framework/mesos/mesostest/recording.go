package mesostest

import (
	"bufio"
	"bytes"
	"embed"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/textproto"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

//go:embed testdata/recorded
var recorded embed.FS

// Recording is one scenario that was played with a real master.
type Recording struct {
	Name      string // of the file, without .txt
	Timeline  []Step
	Exchanges []Exchange
}

// Step is one part of an exchange.
type Step struct {
	At       time.Duration
	Exchange string // name of the exchange
	Status   int    // of a response that begins; 0: the step is something else
	Ends     bool   // the last chunk of a subscription came
	Closed   bool   // the connection was closed
}

// Exchange is a request and its response.
type Exchange struct {
	Name     string
	Method   string
	Path     string
	Header   http.Header
	Body     []byte
	Response Response
	Times    []time.Duration // when each record of a subscription came
}

// Response is a response as it came, except that chunks of the body are joined.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Scheduler reports whether the exchange belongs to the scheduler API.
func (e *Exchange) Scheduler() bool {
	return strings.Contains(e.Path, "/api/v1/scheduler")
}

// Streamed reports whether the response is a stream of events.
func (e *Exchange) Streamed() bool {
	return e.Scheduler() && e.Response.Header.Get("Transfer-Encoding") == "chunked"
}

// Exchange returns the exchange of that name, or nil.
func (r *Recording) Exchange(name string) *Exchange {
	i := slices.IndexFunc(r.Exchanges, func(e Exchange) bool { return e.Name == name })
	if i < 0 {
		return nil
	}
	return &r.Exchanges[i]
}

// Recordings returns every scenario, ordered by name.
func Recordings(t testing.TB) []Recording {
	t.Helper()
	files, err := fs.Glob(recorded, "testdata/recorded/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	var all []Recording
	for _, file := range files {
		all = append(all, load(t, file))
	}
	return all
}

func load(t testing.TB, file string) Recording {
	t.Helper()
	data, err := recorded.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r := Recording{Name: strings.TrimSuffix(path.Base(file), ".txt")}
	for { // section by section
		_, section, more := bytes.Cut(data, []byte("\n-- "))
		if !more {
			return r
		}
		head, rest, _ := bytes.Cut(section, []byte(" --\n"))
		name, length, _ := strings.Cut(string(head), " ")
		n, err := strconv.Atoi(length)
		if err != nil || n > len(rest) {
			t.Fatalf("%s: bad section %q", file, head)
		}
		if err := r.add(name, rest[:n]); err != nil {
			t.Fatalf("%s: %s: %v", file, name, err)
		}
		data = rest[n:]
	}
}

func (r *Recording) add(name string, body []byte) error {
	encoded := strings.HasSuffix(name, ".base64")
	name = strings.TrimSuffix(name, ".base64")
	exchange, kind, _ := strings.Cut(name, ".re") // name.request or name.response
	switch {
	case name == "timeline":
		return r.parseTimeline(string(body))
	case strings.HasSuffix(name, ".times"):
		return r.Exchange(strings.TrimSuffix(name, ".times")).parseTimes(string(body))
	case kind == "quest":
		r.Exchanges = append(r.Exchanges, Exchange{Name: exchange})
		return r.Exchange(exchange).parseRequest(body)
	default:
		return r.Exchange(exchange).parseResponse(body, encoded)
	}
}

func (r *Recording) parseTimeline(text string) error {
	for line := range strings.Lines(text) {
		at, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		t, err := time.ParseDuration(at + "s")
		if err != nil {
			return err
		}
		if strings.HasPrefix(rest, "--- ") { // notes something that was done outside of the API
			continue
		}
		i := strings.LastIndexByte(rest, ' ')
		what := rest[i+1:]
		step := Step{At: t, Exchange: rest[:i], Ends: what == "ends", Closed: what == "closed"}
		step.Status, _ = strconv.Atoi(what)
		r.Timeline = append(r.Timeline, step)
	}
	return nil
}

func (e *Exchange) parseTimes(text string) error {
	for _, word := range strings.Fields(text) {
		t, err := time.ParseDuration(word + "s")
		if err != nil {
			return err
		}
		e.Times = append(e.Times, t)
	}
	return nil
}

func (e *Exchange) parseRequest(text []byte) error {
	first, header, body, err := parseMessage(text)
	if err != nil {
		return err
	}
	e.Method, e.Path, e.Header, e.Body = first[0], first[1], header, body
	return nil
}

func (e *Exchange) parseResponse(text []byte, encoded bool) error {
	first, header, body, err := parseMessage(text)
	if err != nil {
		return err
	}
	if encoded {
		if body, err = base64.StdEncoding.DecodeString(string(body)); err != nil {
			return err
		}
	}
	status, err := strconv.Atoi(first[1])
	e.Response = Response{Status: status, Header: header, Body: body}
	return err
}

// parseMessage splits an HTTP message into the words of its first line, its header and its
// body.
func parseMessage(text []byte) (first []string, header http.Header, body []byte, err error) {
	head, body, _ := bytes.Cut(text, []byte("\n\n"))
	lines := textproto.NewReader(bufio.NewReader(io.MultiReader(bytes.NewReader(head), strings.NewReader("\n\n"))))
	line, err := lines.ReadLine()
	if err != nil {
		return nil, nil, nil, err
	}
	if first = strings.SplitN(line, " ", 3); len(first) < 2 {
		return nil, nil, nil, fmt.Errorf("bad first line %q", line)
	}
	mime, err := lines.ReadMIMEHeader()
	return first, http.Header(mime), body, err
}

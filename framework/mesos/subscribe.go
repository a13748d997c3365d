package mesos

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/mesos/wire"
)

const (
	streamIDHeader   = "Mesos-Stream-Id"
	missedHeartbeats = 5    // a subscription ends after so many heartbeat intervals without an event
	maxErrorBody     = 4096 // bytes of an error response that are read
)

var (
	errSilence    = errors.New("no heartbeat from the master")
	errUnreadable = errors.New("event of the master cannot be read")
)

// subscribe makes one subscription and reads it until it ends. It reports whether
// SUBSCRIBED came. The error is never nil.
func (c *Client) subscribe(ctx context.Context, t *targets, handle func(uint64, scheduler.Event)) (bool, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(callTimeout, func() { cancel(errSilence) })
	defer silence.Stop()

	info, url := c.config.Framework, t.url()
	info.ID = c.id.Load()
	opened := &session{url: url, form: c.form, cancel: cancel}
	response, err := c.post(ctx, opened, &scheduler.Call{
		Type: scheduler.Call_SUBSCRIBE, FrameworkID: info.ID, Subscribe: &scheduler.Call_Subscribe{FrameworkInfo: &info},
	})
	if err != nil {
		return false, cmp.Or(context.Cause(ctx), err)
	}
	defer response.Body.Close()
	opened.streamID = response.Header.Get(streamIDHeader)
	s := &stream{
		client:  c,
		session: opened,
		form:    formOf(response, c.form),
		records: wire.NewReader(response.Body, wire.MaxRecord),
		silence: silence,
		limit:   callTimeout,
		handle:  handle,
	}
	err = s.read()
	err = cmp.Or(context.Cause(ctx), err) // the cause is known only after the reading has ended
	if s.subscribed {
		t.redirects = 0
		c.session.Store(nil)
		if c.config.Disconnected != nil {
			c.config.Disconnected(err)
		}
	}
	return s.subscribed, err
}

type stream struct {
	client     *Client
	session    *session
	form       wire.Codec // of the events
	records    *wire.Reader
	silence    *time.Timer   // ends the subscription when it fires
	limit      time.Duration // without an event, until it fires
	handle     func(subscription uint64, e scheduler.Event)
	subscribed bool
}

func (s *stream) read() error {
	for {
		s.silence.Reset(s.limit)
		record, err := s.records.Next()
		s.silence.Stop() // the time that handle takes does not count
		if errors.Is(err, io.EOF) {
			return errors.New("the master ended the subscription")
		}
		if err != nil {
			return fmt.Errorf("read event: %w", err)
		}
		var event scheduler.Event
		unknown, err := s.form.Decode(record, &event)
		if err != nil && s.form != wire.JSON {
			return fmt.Errorf("%w: %w", errUnreadable, err)
		}
		if err != nil {
			s.client.config.Log.Warn("event of the master ignored: it cannot be decoded", "err", err)
			continue
		}
		if len(unknown) > 0 {
			s.client.config.Log.Warn("event of the master has values that this version does not know", "type", event.Type.String(), "values", unknown)
		}
		switch {
		case event.Type == scheduler.Event_SUBSCRIBED && event.Subscribed != nil:
			s.begin(event.Subscribed)
		case event.Type == scheduler.Event_ERROR && event.Error != nil:
			return eventError(event.Error.Message)
		}
		s.handle(s.session.number, event)
	}
}

func (s *stream) begin(e *scheduler.Event_Subscribed) {
	s.subscribed = true
	if interval := e.GetHeartbeatIntervalSeconds(); interval > 0 {
		s.limit = time.Duration(missedHeartbeats * interval * float64(time.Second))
	}
	c := s.client
	c.count++
	s.session.number = c.count
	if e.FrameworkID != nil {
		c.id.Store(e.FrameworkID)
	}
	c.session.Store(s.session)
	c.config.Log.Info("subscribed", "framework", e.FrameworkID.GetValue(), "master", s.session.url)
}

// formOf returns the form of a response's events: what it says, or what was asked for.
func formOf(response *http.Response, asked wire.Codec) wire.Codec {
	if kind, _, err := mime.ParseMediaType(response.Header.Get("Content-Type")); err == nil {
		for _, form := range []wire.Codec{wire.JSON, wire.Protobuf} {
			if kind == form.MediaType() {
				return form
			}
		}
	}
	return asked
}

// post sends a call and returns a response that reports success. The caller closes its
// body.
func (c *Client) post(ctx context.Context, s *session, call *scheduler.Call) (*http.Response, error) {
	body, err := s.form.Encode(call)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", s.form.MediaType())
	request.Header.Set("Accept", s.form.MediaType())
	if s.streamID != "" {
		request.Header.Set(streamIDHeader, s.streamID)
	}
	if k := c.config.Credentials; k != nil {
		request.SetBasicAuth(k.Principal, k.Secret)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode/100 == 2 {
		return response, nil
	}
	defer response.Body.Close()
	return nil, responseError(response)
}

func responseError(response *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(response.Body, maxErrorBody))
	if err != nil {
		return fmt.Errorf("read error body: %w", err)
	}
	status := &StatusError{Status: response.StatusCode, Message: strings.TrimSpace(string(text))}
	if location, err := response.Location(); err == nil && status.Status == http.StatusTemporaryRedirect {
		status.redirect = location.String()
	}
	return status
}

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

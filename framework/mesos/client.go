package mesos

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// Config describes a client.
type Config struct {
	// Masters are tried in turn: host:port, or a URL whose path may be left out.
	Masters []string
	// Framework is what is subscribed. An ID means: take over, or come back.
	Framework mesos.FrameworkInfo
	// Credentials for HTTP basic authentication; none when nil.
	Credentials *Credentials
	// HTTP carries everything. It must have no Timeout, which would cut the
	// subscription, and its redirect policy is replaced. http.DefaultTransport
	// when nil.
	HTTP *http.Client
	// CallTimeout bounds one call, and the time that a master may take to answer
	// SUBSCRIBE (10 s when zero).
	CallTimeout time.Duration
	Backoff     Backoff
	// Disconnected is called by Run, between events, when a subscription is lost:
	// offers are void from here. It may be nil.
	Disconnected func(error)
	Log          *slog.Logger // none when nil
}

// Credentials are a principal and its secret.
type Credentials struct{ Principal, Secret string }

// Client is one framework's connection to its masters. Calls may come from any
// goroutine while Run runs.
type Client struct {
	config Config
	http   http.Client

	mu        sync.Mutex
	framework mesos.FrameworkInfo
	session   *session // nil while disconnected
}

// session is one subscription.
type session struct {
	url      string
	streamID string
	cancel   context.CancelCauseFunc
}

// New returns a client; it connects when Run is called.
func New(config Config) *Client {
	if config.CallTimeout == 0 {
		config.CallTimeout = 10 * time.Second
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	config.Backoff = config.Backoff.withDefaults()
	c := &Client{config: config, framework: config.Framework}
	if config.HTTP != nil {
		c.http = *config.HTTP
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

// FrameworkID returns the framework's id, "" before the first SUBSCRIBED.
func (c *Client) FrameworkID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.framework.ID == nil {
		return ""
	}
	return c.framework.ID.Value
}

// SetFrameworkID makes the next Run subscribe under id; "" asks for a new one.
// It must not be called while Run runs.
func (c *Client) SetFrameworkID(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.framework.ID = nil
	if id != "" {
		c.framework.ID = &mesos.FrameworkID{Value: id}
	}
}

// Run keeps the framework subscribed and calls handle with every event, one at a
// time; SUBSCRIBED says that a (new) subscription stands. It returns nil when ctx
// ends, and otherwise only what trying again cannot cure: ErrRemoved,
// ErrFailedOver, ErrRefused or ErrUnauthorized. Cancelling ctx does not tear the
// framework down.
func (c *Client) Run(ctx context.Context, handle func(scheduler.Event)) error {
	target := newTargets(c.config.Masters)
	for failures := 0; ; {
		subscribed, err := c.subscribe(ctx, target, handle)
		switch {
		case ctx.Err() != nil:
			return nil
		case fatal(err):
			return fmt.Errorf("subscription ended: %w", err)
		case subscribed:
			failures = 0
		}
		if target.follow(err) {
			continue
		}
		failures++
		target.next()
		pause := c.config.Backoff.pause(failures)
		c.config.Log.Warn("subscription lost, trying again", "err", err, "pause", pause)
		if !sleep(ctx, pause) {
			return nil
		}
	}
}

// fatal says whether an error of a subscription ends Run.
func fatal(err error) bool {
	for _, target := range []error{ErrRemoved, ErrFailedOver, ErrRefused, ErrUnauthorized, ErrInvalid} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

func (c *Client) current() *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session
}

func (c *Client) setSession(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = s
}

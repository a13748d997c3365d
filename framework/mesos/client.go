package mesos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/mesos/wire"
	"tombolo/internal/wake"
)

const (
	callTimeout = 10 * time.Second       // of one call, and until a master answers SUBSCRIBE
	retryMin    = 200 * time.Millisecond // before the next attempt to subscribe; it doubles
	retryMax    = 15 * time.Second
)

// Config is what a Client needs.
type Config struct {
	// Masters are tried in turn. Each is host:port or a URL; a URL without a path gets
	// the path of the scheduler API.
	Masters []string
	// Framework describes the framework. With an ID it comes back, or takes over from
	// another scheduler with the same ID.
	Framework mesos.FrameworkInfo
	// Credentials are for HTTP basic authentication; nil sends none.
	Credentials *Credentials
	// HTTP makes all requests; nil means http.DefaultTransport. It must have no Timeout,
	// which would cut the subscription. Its redirect policy is replaced.
	HTTP *http.Client
	// Disconnected is called by Run, between events, when a subscription is lost; its
	// offers are void from then on. It may be nil.
	Disconnected func(error)
	Log          *slog.Logger // nil: no log
}

// Credentials are a principal and its secret.
type Credentials struct{ Principal, Secret string }

// Client is one framework's connection to its masters. Any goroutine may make calls
// while Run runs.
type Client struct {
	config Config
	http   http.Client

	id      atomic.Pointer[mesos.FrameworkID] // nil: none yet
	session atomic.Pointer[session]           // nil: not subscribed
	form    wire.Codec                        // in which to subscribe; only Run uses it
	count   uint64                            // of subscriptions so far; only Run uses it
}

type session struct {
	number   uint64 // counts the subscriptions of the client from 1
	form     wire.Codec
	url      string
	streamID string
	cancel   context.CancelCauseFunc
}

// New returns a client that connects when Run is called.
func New(config Config) *Client {
	config.Log = cmp.Or(config.Log, slog.New(slog.DiscardHandler))
	c := &Client{config: config, form: wire.Protobuf}
	c.id.Store(config.Framework.ID)
	if config.HTTP != nil {
		c.http = *config.HTTP
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

// FrameworkID returns the framework's ID; "": it has none before the first SUBSCRIBED.
func (c *Client) FrameworkID() string { return c.id.Load().GetValue() }

// SetFrameworkID makes the next Run subscribe under id; "" asks for a new one. It must
// not be called while Run runs.
func (c *Client) SetFrameworkID(id string) {
	if id == "" {
		c.id.Store(nil)
		return
	}
	c.id.Store(&mesos.FrameworkID{Value: id})
}

// Run keeps the framework subscribed and calls handle with every event, one at a time, and
// the number of the subscription that it came in. Numbers grow from 1. SUBSCRIBED is the
// first event of each subscription. Run returns nil when ctx ends; the
// master then keeps the framework and its tasks until the failover timeout. Otherwise it
// returns an error that another attempt cannot cure: ErrRemoved, ErrFailedOver,
// ErrRefused, ErrUnauthorized or ErrInvalid.
func (c *Client) Run(ctx context.Context, handle func(subscription uint64, e scheduler.Event)) error {
	target := newTargets(c.config.Masters)
	for retry := wake.NewBackoff(retryMin, retryMax); ; {
		subscribed, err := c.subscribe(ctx, target, handle)
		switch {
		case ctx.Err() != nil:
			return nil
		case c.fallBack(err):
			continue
		case isAny(err, ErrRemoved, ErrFailedOver, ErrRefused, ErrUnauthorized, ErrInvalid):
			return fmt.Errorf("subscription ended: %w", err)
		case subscribed:
			retry.Reset()
		}
		if target.follow(err) {
			continue
		}
		target.next()
		c.config.Log.Warn("not subscribed to a master, trying again after a pause", "err", err)
		if !retry.Wait(ctx) {
			return nil
		}
	}
}

// fallBack turns to JSON if err says that the master and this program do not understand each other's
// protobuf. It reports whether to try again at once.
func (c *Client) fallBack(err error) bool {
	var status *StatusError
	refused := errors.As(err, &status) && (status.Status == http.StatusUnsupportedMediaType || status.Status == http.StatusNotAcceptable)
	if c.form == wire.JSON || !refused && !errors.Is(err, errUnreadable) {
		return false
	}
	c.form = wire.JSON
	c.config.Log.Warn("no protobuf with this master; JSON instead", "err", err)
	return true
}

// Call makes one call in the subscription with the given number. If that has ended, Call
// returns ErrDisconnected and makes no call, because offers, kills and suppression belong to
// one subscription. It fills in the framework ID. A nil
// error means that the master has taken the call, not that it had an effect: the master
// also takes calls about offers, tasks and roles that it does not know. An error that
// voids the subscription makes Run subscribe again.
func (c *Client) Call(ctx context.Context, subscription uint64, call *scheduler.Call) error {
	s := c.session.Load()
	if s == nil || s.number != subscription {
		return fmt.Errorf("%s: %w", call.Type, ErrDisconnected)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	sent := *call
	sent.FrameworkID = c.id.Load()
	response, err := c.post(ctx, s, &sent)
	if err != nil {
		err = fmt.Errorf("%s: %w", call.Type, err)
		if sessionLost(err) {
			s.cancel(err)
		}
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(response.Body, maxErrorBody)); err != nil {
		return fmt.Errorf("%s: %w", call.Type, err)
	}
	return nil
}

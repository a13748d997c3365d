package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"tombolo/internal/unixhttp"
	"tombolo/linker/record"
)

const (
	callTimeout  = 15 * time.Second
	watchWait    = 30 * time.Second
	maxErrorBody = 64 << 10
)

// Client speaks to one linker. It is safe for concurrent use. Its errors wrap
// ErrInvalid, ErrNotFound or ErrStale where the linker's answer says so; one that it cannot reach is an error that names the socket.
type Client struct {
	socket string
	http   *http.Client
}

// NewClient makes a client of the linker that listens on the unix socket. It dials
// when it is asked to do something.
func NewClient(socket string) *Client {
	return &Client{socket: socket, http: &http.Client{Transport: unixhttp.Transport(socket)}}
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status returns what the linker says of itself.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	err := c.call(ctx, http.MethodGet, "/v1/status", nil, &s)
	return s, err
}

// Catalog returns the present snapshot.
func (c *Client) Catalog(ctx context.Context) (*record.Snapshot, error) {
	snap := new(record.Snapshot)
	if err := c.call(ctx, http.MethodGet, "/v1/catalog", nil, snap); err != nil {
		return nil, err
	}
	return snap, nil
}

// PutApp hands an app record over; ErrStale if the linker knows a newer one.
func (c *Client) PutApp(ctx context.Context, r record.Record) error {
	return c.call(ctx, http.MethodPut, "/v1/apps/"+url.PathEscape(r.Name), r, nil)
}

// DeleteApp hands an app's tombstone over (Deleted is set here).
func (c *Client) DeleteApp(ctx context.Context, r record.Record) error {
	r.Deleted, r.App = true, nil
	return c.call(ctx, http.MethodDelete, "/v1/apps/"+url.PathEscape(r.Name), r, nil)
}

// Resolve looks name up as the container from (ID, name or address) sees it; ""
// stands for the host.
func (c *Client) Resolve(ctx context.Context, name, from string) (Resolution, error) {
	q := url.Values{"name": {name}}
	if from != "" {
		q.Set("from", from)
	}
	var r Resolution
	return r, c.call(ctx, http.MethodGet, "/v1/resolve?"+q.Encode(), nil, &r)
}

// Logs calls line for each line of a container's output until there is no more,
// ctx ends (nil), or line fails (its error).
func (c *Client) Logs(ctx context.Context, container string, o LogOptions, line func(LogLine) error) error {
	q := url.Values{}
	if o.Follow {
		q.Set("follow", "1")
	}
	if o.Tail > 0 {
		q.Set("tail", strconv.Itoa(o.Tail))
	}
	res, err := c.send(ctx, http.MethodGet, "/v1/containers/"+url.PathEscape(container)+"/logs?"+q.Encode(), nil)
	if err != nil {
		return quiet(ctx, err)
	}
	defer res.Body.Close()
	for d := json.NewDecoder(res.Body); ; {
		var l LogLine
		if err := d.Decode(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return quiet(ctx, fmt.Errorf("logs of %s: %w", container, err))
		}
		if err := line(l); err != nil {
			return err
		}
	}
	if text := res.Trailer.Get(trailerError); text != "" {
		return fmt.Errorf("logs of %s: %s", container, text)
	}
	return nil
}

// quiet takes the end of ctx for the wanted end.
func quiet(ctx context.Context, err error) error {
	if ended(ctx) {
		return nil
	}
	return err
}

func ended(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return true
	default:
		return false
	}
}

// call sends a request with a JSON body, if any, and reads a JSON answer into out.
func (c *Client) call(ctx context.Context, method, path string, body, out any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	res, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		return fmt.Errorf("linker at %s: %s %s: %w", c.socket, method, path, err)
	}
	return nil
}

// send returns an answer of status 2xx or 304, whose body the caller closes.
func (c *Client) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encode %s %s: %w", method, path, err)
		}
		content = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://linker"+path, content)
	if err != nil {
		return nil, fmt.Errorf("linker at %s: %w", c.socket, err)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("linker at %s: %w", c.socket, err)
	}
	if res.StatusCode < 300 || res.StatusCode == http.StatusNotModified {
		return res, nil
	}
	defer res.Body.Close()
	return nil, failure(res)
}

// failure makes an error of a refusal.
func failure(res *http.Response) error {
	var e Error
	b, _ := io.ReadAll(io.LimitReader(res.Body, maxErrorBody))
	if json.Unmarshal(b, &e) != nil || e.Message == "" {
		e.Message = res.Status
	}
	for sentinel, code := range codes {
		if code == res.StatusCode {
			return &refusal{sentinel, e.Message}
		}
	}
	return errors.New(e.Message)
}

// refusal keeps the linker's own words, which name the sentinel already.
type refusal struct {
	sentinel error
	message  string
}

func (r *refusal) Error() string { return r.message }
func (r *refusal) Unwrap() error { return r.sentinel }

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

// Client calls the API of one linker. It is safe for concurrent use. Its errors wrap
// ErrInvalid, ErrNotFound or ErrStale if the linker's answer says so. If it cannot reach
// the linker, its error names the socket.
type Client struct {
	socket string
	http   *http.Client
}

// NewClient returns a client of the linker on the unix socket. It dials at the first call.
func NewClient(socket string) *Client {
	return &Client{socket: socket, http: &http.Client{Transport: unixhttp.Transport(socket)}}
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status returns the state of the linker and its host.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	_, err := c.get(ctx, "/v1/status", callTimeout, &s)
	return s, err
}

// Hosts returns every host of the cluster, forgotten ones included.
func (c *Client) Hosts(ctx context.Context) ([]HostState, error) {
	var all []HostState
	_, err := c.get(ctx, "/v1/hosts", callTimeout, &all)
	return all, err
}

// ForgetHost makes the records of a host, by its name or ID, void on every host. It returns the
// host as it was. A host that is alive is only forgotten with force.
func (c *Client) ForgetHost(ctx context.Context, name string, force bool) (HostState, error) {
	path := "/v1/hosts/" + url.PathEscape(name)
	if force {
		path += "?force=1"
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	res, err := c.send(ctx, http.MethodDelete, path, nil)
	if err != nil {
		return HostState{}, err
	}
	defer res.Body.Close()
	var h HostState
	if err := json.NewDecoder(res.Body).Decode(&h); err != nil {
		return HostState{}, fmt.Errorf("linker at %s: DELETE %s: %w", c.socket, path, err)
	}
	return h, nil
}

// Catalog returns the present snapshot.
func (c *Client) Catalog(ctx context.Context) (*record.Snapshot, error) {
	var snap *record.Snapshot
	_, err := c.get(ctx, "/v1/catalog", callTimeout, &snap)
	return snap, err
}

// Watch calls fn with the present snapshot and with later ones. It leaves some out if
// they follow each other fast. It returns nil when ctx ends, and an error as soon as the
// linker does not answer; the caller may then call it again.
func (c *Client) Watch(ctx context.Context, fn func(*record.Snapshot)) error {
	query := url.Values{}
	for {
		var snap *record.Snapshot // stays nil if nothing has changed
		header, err := c.get(ctx, "/v1/catalog?"+query.Encode(), watchWait+callTimeout, &snap)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		query = url.Values{"index": {header.Get(headerIndex)}, "run": {header.Get(headerRun)}, "wait": {watchWait.String()}}
		if snap != nil {
			fn(snap)
		}
	}
}

// PutApp stores an app record. It returns ErrStale if the linker knows a newer one.
func (c *Client) PutApp(ctx context.Context, r record.Record) error {
	return c.writeApp(ctx, http.MethodPut, r)
}

// DeleteApp stores the tombstone of an app. It sets Deleted and clears App.
func (c *Client) DeleteApp(ctx context.Context, r record.Record) error {
	r.Deleted, r.App = true, nil
	return c.writeApp(ctx, http.MethodDelete, r)
}

// Resolve looks name up in the view of the container from (ID, name or address), or of
// the host if from is "".
func (c *Client) Resolve(ctx context.Context, name, from string) (Resolution, error) {
	q := url.Values{"name": {name}}
	if from != "" {
		q.Set("from", from)
	}
	var r Resolution
	_, err := c.get(ctx, "/v1/resolve?"+q.Encode(), callTimeout, &r)
	return r, err
}

// Container returns what the Engine says about a container (ID or name).
func (c *Client) Container(ctx context.Context, container string) (Container, error) {
	var out Container
	_, err := c.get(ctx, "/v1/containers/"+url.PathEscape(container), callTimeout, &out)
	return out, err
}

// Volume tells whether the Engine has a volume.
func (c *Client) Volume(ctx context.Context, name string) (Volume, error) {
	var out Volume
	_, err := c.get(ctx, "/v1/volumes/"+url.PathEscape(name), callTimeout, &out)
	return out, err
}

// RemoveVolume removes a volume of the Engine with its data, if it exists. It returns ErrInvalid if a
// container has it.
func (c *Client) RemoveVolume(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	res, err := c.send(ctx, http.MethodDelete, "/v1/volumes/"+url.PathEscape(name), nil)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// Version returns the version of the Engine.
func (c *Client) Version(ctx context.Context) (EngineVersion, error) {
	var out EngineVersion
	_, err := c.get(ctx, "/v1/engine", callTimeout, &out)
	return out, err
}

// Logs calls line for each line of a container's output. It returns nil when there are
// no more lines or ctx ends, and line's error when line returns one.
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
		return unlessEnded(ctx, err)
	}
	defer res.Body.Close()
	for d := json.NewDecoder(res.Body); ; {
		var l LogLine
		if err := d.Decode(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return unlessEnded(ctx, fmt.Errorf("logs of %s: %w", container, err))
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

// unlessEnded returns err, or nil if ctx has ended.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (c *Client) writeApp(ctx context.Context, method string, r record.Record) error {
	packet, err := record.Encode(r)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	res, err := c.send(ctx, method, "/v1/apps/"+url.PathEscape(r.Name), packet)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return nil
}

// get decodes the answer to a GET into out, unless the answer is 304.
func (c *Client) get(ctx context.Context, path string, timeout time.Duration, out any) (http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	res, err := c.send(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusNotModified {
		err = json.NewDecoder(res.Body).Decode(out)
	}
	if err != nil {
		return nil, fmt.Errorf("linker at %s: GET %s: %w", c.socket, path, err)
	}
	return res.Header, nil
}

// send sends a request, whose body is an encoded record or nil, and returns an answer
// with status 2xx or 304. The caller closes its body.
func (c *Client) send(ctx context.Context, method, path string, packet []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://linker"+path, bytes.NewReader(packet))
	if err != nil {
		return nil, fmt.Errorf("linker at %s: %w", c.socket, err)
	}
	if packet != nil {
		req.Header.Set("Content-Type", ContentRecord)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("linker at %s: %w", c.socket, err)
	}
	if res.StatusCode < 300 || res.StatusCode == http.StatusNotModified {
		return res, nil
	}
	defer res.Body.Close()
	return nil, responseError(res)
}

// responseError returns the error that an answer carries.
func responseError(res *http.Response) error {
	var e Error
	b, _ := io.ReadAll(io.LimitReader(res.Body, maxErrorBody))
	if json.Unmarshal(b, &e) != nil || e.Message == "" {
		e.Message = res.Status
	}
	for sentinel, code := range statusCodes {
		if code == res.StatusCode {
			return &apiError{sentinel, e.Message}
		}
	}
	return errors.New(e.Message)
}

// apiError has the linker's message, which contains the sentinel's text already.
type apiError struct {
	sentinel error
	message  string
}

func (e *apiError) Error() string { return e.message }
func (e *apiError) Unwrap() error { return e.sentinel }

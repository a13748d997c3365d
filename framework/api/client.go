package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"tombolo/framework/app"
)

// maxLine bounds one line of a stream: a Status of some 10,000 instances.
const maxLine = 16 << 20

// Client asks a framework's API. Its errors wrap ErrNotFound, ErrConflict,
// ErrInvalid or ErrUnavailable where the server's answer says so; one that says
// that nobody listens wraps the error of net.Dial.
type Client struct {
	base string
	http *http.Client
}

// NewClient asks the API at target: the path of a unix socket (with or without
// "unix://") or an http:// or https:// URL. It connects with the first call.
func NewClient(target string) *Client {
	if strings.HasPrefix(target, "http://") || strings.HasPrefix(target, "https://") {
		return &Client{base: strings.TrimSuffix(target, "/"), http: &http.Client{Transport: &http.Transport{}}}
	}
	socket := strings.TrimPrefix(target, "unix://")
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	return &Client{base: "http://tombolo", http: &http.Client{Transport: &http.Transport{DialContext: dial}}}
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// PutApp makes the app wanted and returns its revision.
func (c *Client) PutApp(ctx context.Context, wanted app.App) (uint64, error) {
	body, err := json.Marshal(wanted)
	if err != nil {
		return 0, fmt.Errorf("encode app: %w", err)
	}
	var answer revision
	err = c.call(ctx, http.MethodPut, appPath(wanted.Name), body, &answer)
	return answer.Revision, err
}

// DeleteApp ends the app. With volumes the framework forgets which hosts hold its
// named volumes, for a caller that then removes them. It returns when the
// framework has taken note; Follow says when all is gone.
func (c *Client) DeleteApp(ctx context.Context, name string, volumes bool) error {
	path := appPath(name)
	if volumes {
		path += "?volumes=1"
	}
	return c.call(ctx, http.MethodDelete, path, nil, nil)
}

// Apps returns the Status of every app, by name.
func (c *Client) Apps(ctx context.Context) (list []Status, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/apps", nil, &list)
	return list, err
}

// App returns the Status of one app.
func (c *Client) App(ctx context.Context, name string) (status Status, err error) {
	err = c.call(ctx, http.MethodGet, appPath(name), nil, &status)
	return status, err
}

// Spec returns the App as it was last put.
func (c *Client) Spec(ctx context.Context, name string) (spec app.App, err error) {
	err = c.call(ctx, http.MethodGet, appPath(name)+"/spec", nil, &spec)
	return spec, err
}

// Info describes the framework and its cluster.
func (c *Client) Info(ctx context.Context) (info Info, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/info", nil, &info)
	return info, err
}

// Follow calls fn with the app's Status, at once and after each change. It
// returns nil when the app is gone, what fn returned when that is not nil, and
// an error when there is no such app or the stream breaks off.
func (c *Client) Follow(ctx context.Context, name string, fn func(Status) error) error {
	body, err := c.open(ctx, appPath(name)+"/events")
	if err != nil {
		return err
	}
	defer body.Close()
	gone := false
	err = scan(body, func(line []byte) error {
		data, isData := bytes.CutPrefix(line, []byte("data: "))
		switch {
		case bytes.Equal(line, []byte("event: gone")):
			gone = true
			return io.EOF
		case !isData:
			return nil
		}
		var status Status
		if err := json.Unmarshal(data, &status); err != nil {
			return fmt.Errorf("follow %s: %w", name, err)
		}
		return fn(status)
	})
	if gone {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("follow %s: %w", name, io.ErrUnexpectedEOF)
	}
	return err
}

// Logs calls fn with each line of the app's output that query selects. It
// returns nil at the output's end, or what fn returned when that is not nil.
func (c *Client) Logs(ctx context.Context, name string, query LogQuery, fn func(LogLine) error) error {
	values := url.Values{}
	if query.Service != "" {
		values.Set("service", query.Service)
	}
	values.Set("slot", strconv.Itoa(query.Slot))
	values.Set("tail", strconv.Itoa(query.Tail))
	values.Set("follow", strconv.FormatBool(query.Follow))
	body, err := c.open(ctx, appPath(name)+"/logs?"+values.Encode())
	if err != nil {
		return err
	}
	defer body.Close()
	return scan(body, func(raw []byte) error {
		var line struct {
			LogLine
			Error
		}
		if err := json.Unmarshal(raw, &line); err != nil {
			return fmt.Errorf("logs of %s: %w", name, err)
		}
		if line.Message != "" {
			return fmt.Errorf("logs of %s: %s", name, line.Message)
		}
		return fn(line.LogLine)
	})
}

func appPath(name string) string { return "/v1/apps/" + url.PathEscape(name) }

func (c *Client) call(ctx context.Context, method, path string, body []byte, into any) error {
	answer, err := c.do(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		return fmt.Errorf("%s %s: decode answer: %w", method, path, err)
	}
	return nil
}

func (c *Client) open(ctx context.Context, path string) (io.ReadCloser, error) {
	answer, err := c.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	return answer.Body, nil
}

// do returns an answer whose status is 2xx.
func (c *Client) do(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode/100 == 2 {
		return answer, nil
	}
	defer answer.Body.Close()
	return nil, refusal(answer)
}

// refusal rebuilds the server's error, so that errors.Is finds what it means.
func refusal(answer *http.Response) error {
	var told Error
	raw, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if json.Unmarshal(raw, &told) != nil || told.Message == "" {
		told.Message = fmt.Sprintf("%s: %s", answer.Status, bytes.TrimSpace(raw))
	}
	for _, kind := range []error{ErrNotFound, ErrConflict, ErrInvalid, ErrUnavailable} {
		if statusOf(kind) == answer.StatusCode {
			return &answered{told.Message, kind}
		}
	}
	return errors.New(told.Message)
}

type answered struct {
	message string
	kind    error
}

func (a *answered) Error() string { return a.message }
func (a *answered) Unwrap() error { return a.kind }

func scan(body io.Reader, fn func([]byte) error) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if err := fn(lines.Bytes()); err != nil {
			return err
		}
	}
	return lines.Err()
}

package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"tombolo/framework/app"
	"tombolo/internal/unixhttp"
)

// maxLine is the largest line of a stream: a Status of some 10,000 instances.
const maxLine = 16 << 20

// Client is a client of a framework's API. Its errors wrap ErrNotFound, ErrConflict,
// ErrInvalid or ErrUnavailable as the server's response says. If nobody listens, they wrap
// the error of net.Dial.
type Client struct {
	base string
	http *http.Client
}

// NewClient returns a client of the API at target: the path of a unix socket (with or
// without "unix://") or an http:// or https:// URL. It connects with the first call.
func NewClient(target string) *Client {
	if strings.HasPrefix(target, "http://") || strings.HasPrefix(target, "https://") {
		return &Client{base: strings.TrimSuffix(target, "/"), http: &http.Client{Transport: &http.Transport{}}}
	}
	socket := strings.TrimPrefix(target, "unix://")
	return &Client{base: "http://tombolo", http: &http.Client{Transport: unixhttp.Transport(socket)}}
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// PutApp makes the cluster run the app and returns its revision.
func (c *Client) PutApp(ctx context.Context, wanted app.App) (uint64, error) {
	body, err := json.Marshal(wanted)
	if err != nil {
		return 0, fmt.Errorf("encode app: %w", err)
	}
	var response revision
	err = c.call(ctx, http.MethodPut, appPath(wanted.Name), body, &response)
	return response.Revision, err
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

// RecreateVolumes permits that volumes of an app that are gone from their hosts are made
// anew, empty. The permission ends when the app is put again.
func (c *Client) RecreateVolumes(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodPost, appPath(name)+"/recreate-volumes", nil, nil)
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

// Spec returns an app as it was last put.
func (c *Client) Spec(ctx context.Context, name string) (spec app.App, err error) {
	err = c.call(ctx, http.MethodGet, appPath(name)+"/spec", nil, &spec)
	return spec, err
}

// Info describes the framework and its cluster.
func (c *Client) Info(ctx context.Context) (info Info, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/info", nil, &info)
	return info, err
}

// Follow calls fn with the app's Status, at once and after each change. It returns nil
// when the app has ended, the error of fn if it returns one, and an error if there is no
// such app or the stream breaks off.
func (c *Client) Follow(ctx context.Context, name string, fn func(Status) error) error {
	response, err := c.do(ctx, http.MethodGet, appPath(name)+"/events", nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	gone := false
	err = scan(response.Body, func(line []byte) error {
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
	switch {
	case gone:
		return nil
	case err == nil:
		return fmt.Errorf("follow %s: %w", name, io.ErrUnexpectedEOF)
	}
	return err
}

// Logs calls fn with each line of the app's output that query selects. It returns nil at
// the end of the output, or the error of fn if it returns one.
func (c *Client) Logs(ctx context.Context, name string, query LogQuery, fn func(LogLine) error) error {
	values := url.Values{
		"service": {query.Service}, "slot": {strconv.Itoa(query.Slot)},
		"tail": {strconv.Itoa(query.Tail)}, "follow": {strconv.FormatBool(query.Follow)},
	}
	response, err := c.do(ctx, http.MethodGet, appPath(name)+"/logs?"+values.Encode(), nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return scan(response.Body, func(raw []byte) error {
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
	response, err := c.do(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		return fmt.Errorf("%s %s: decode the response: %w", method, path, err)
	}
	return nil
}

// do makes a request and returns a response with a 2xx status.
func (c *Client) do(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode/100 == 2 {
		return response, nil
	}
	defer response.Body.Close()
	return nil, refusal(response)
}

func refusal(response *http.Response) error {
	var told Error
	raw, _ := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if json.Unmarshal(raw, &told) != nil || told.Message == "" {
		told.Message = fmt.Sprintf("%s: %s", response.Status, bytes.TrimSpace(raw))
	}
	for kind, status := range statuses {
		if status == response.StatusCode {
			return &apiError{told.Message, kind}
		}
	}
	return errors.New(told.Message)
}

// apiError has the message of the server and wraps one of the package's errors.
type apiError struct {
	message string
	kind    error
}

func (e *apiError) Error() string { return e.message }
func (e *apiError) Unwrap() error { return e.kind }

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

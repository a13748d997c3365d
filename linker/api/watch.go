package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"tombolo/linker/record"
)

// Watch calls fn with the present snapshot and with later ones. It leaves some out if
// they follow each other fast. It returns nil when ctx ends, and an error as soon as the
// linker does not answer; the caller may then call it again.
func (c *Client) Watch(ctx context.Context, fn func(*record.Snapshot)) error {
	query := url.Values{}
	for {
		snap, header, err := c.poll(ctx, query)
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

// poll sends one request. It returns no snapshot if nothing has changed, and an error
// after a time limit if the linker is stuck.
func (c *Client) poll(ctx context.Context, query url.Values) (*record.Snapshot, http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, watchWait+callTimeout)
	defer cancel()
	res, err := c.send(ctx, http.MethodGet, "/v1/catalog?"+query.Encode(), nil)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusNotModified {
		return nil, res.Header, nil
	}
	snap := new(record.Snapshot)
	if err := json.NewDecoder(res.Body).Decode(snap); err != nil {
		return nil, nil, fmt.Errorf("linker at %s: read catalog: %w", c.socket, err)
	}
	return snap, res.Header, nil
}

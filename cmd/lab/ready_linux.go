package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"time"

	"tombolo/internal/unixhttp"
	"tombolo/linker/api"
)

const pollEvery = 50 * time.Millisecond

// WaitHost returns when the host's Engine answers and, where it has one, its
// linker is ready and sees every living host.
func (l *Lab) WaitHost(ctx context.Context, name string) error {
	h, err := l.Host(name)
	if err != nil {
		return err
	}
	err = waitFor(ctx, h.Init, func() error { return get(ctx, filepath.Join(h.RunDir(), "docker.sock"), "/_ping", nil) })
	if err != nil {
		return l.explain("Docker Engine of "+name, filepath.Join(name, "dockerd.log"), err)
	}
	if l.NoLinker {
		return nil
	}
	if err := waitFor(ctx, h.Init, func() error { return l.linkerReady(ctx, h) }); err != nil {
		return l.explain("linker of "+name, filepath.Join(name, "linker.log"), err)
	}
	return nil
}

func (l *Lab) linkerReady(ctx context.Context, h *Host) error {
	var s api.Status
	if err := get(ctx, h.LinkerSocket(), "/v1/status", &s); err != nil {
		return err
	}
	alive := 0
	for _, p := range s.Peers {
		if p.State == "alive" {
			alive++
		}
	}
	want := 0
	for _, o := range l.Hosts {
		if o.Name != h.Name && o.Alive() {
			want++
		}
	}
	if !s.Ready || alive < want {
		return fmt.Errorf("not ready: sees %d of %d peers, problems %v", alive, want, s.Problems)
	}
	return nil
}

// waitFor polls check until it passes; it gives up with check's last error when
// ctx ends, and at once when process p ends.
func waitFor(ctx context.Context, p Process, check func() error) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if !p.Alive() { // somebody else may answer in its place
			return fmt.Errorf("process %d ended", p.PID)
		}
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// get asks an HTTP server on a unix socket and decodes JSON into out, if any.
func get(ctx context.Context, socket, path string, out any) error {
	transport := unixhttp.Transport(socket)
	defer transport.CloseIdleConnections()
	client := &http.Client{Timeout: 2 * time.Second, Transport: transport}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://unix"+path, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, resp.Status)
	}
	if out == nil {
		_, err := io.Copy(io.Discard, resp.Body)
		return err
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

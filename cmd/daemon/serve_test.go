package daemon

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"tombolo/internal/unixhttp"
)

func TestServeReplacesADeadSocketAndCutsStreams(t *testing.T) {
	defer goleak.VerifyNone(t)
	socket := filepath.Join(t.TempDir(), "run", "x.sock")
	for range 2 { // a second server on the same path
		ctx, cancel := context.WithCancel(t.Context())
		streaming := make(chan struct{})
		served := make(chan error)
		go func() {
			served <- serve(ctx, socket, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, "hello")
				_ = http.NewResponseController(w).Flush()
				close(streaming)
				<-r.Context().Done() // a stream that does not end by itself
			}))
		}()
		client := &http.Client{Transport: unixhttp.Transport(socket)}
		answer, err := client.Get("http://x/")
		for errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) { // the server has not started yet
			answer, err = client.Get("http://x/")
		}
		if err != nil {
			t.Fatal(err)
		}
		<-streaming
		if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the socket is %v (%v), want mode 0600", info, err)
		}
		cancel()
		if err := <-served; err != nil {
			t.Errorf("serve returned %v after its context had ended, want nil", err)
		}
		_ = answer.Body.Close()
		client.CloseIdleConnections()
		if _, err := os.Stat(socket); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the server left its socket behind (%v)", err)
		}
	}
}

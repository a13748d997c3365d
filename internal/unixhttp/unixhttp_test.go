package unixhttp

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestListen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "api.sock")
	first, err := Listen(t.Context(), path, 0o660)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("the socket is %v (%v), want mode 0660", info, err)
	}
	if _, err := Listen(t.Context(), path, 0o660); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second listener got %v, want an error that names another process", err)
	}
	first.Close() // like a kill, this leaves the socket behind
	second, err := Listen(t.Context(), path, 0o660)
	if err != nil {
		t.Fatalf("a socket that was left behind was not replaced: %v", err)
	}
	defer second.Close()
	third, err := TakeOver(t.Context(), path, 0o600)
	if err != nil {
		t.Fatalf("a socket in use was not taken over: %v", err)
	}
	defer third.Close()
	if left, _ := filepath.Glob(path + ".*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestListenLeavesFilesAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(t.Context(), path, 0o600); err == nil {
		t.Error("a file was replaced by a socket")
	}
	if b, _ := os.ReadFile(path); string(b) != "precious" {
		t.Errorf("the file holds %q, want it untouched", b)
	}
}

func TestServeCutsWhatDoesNotEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "api.sock")
	l, err := Listen(t.Context(), path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stuck := make(chan struct{})
	defer close(stuck)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stuck" {
			w.(http.Flusher).Flush()
			<-stuck
		}
		_, _ = io.WriteString(w, "hello")
	})
	served := make(chan error, 1)
	own := func(net.Listener) context.Context { return context.Background() }
	go func() { served <- Serve(ctx, l, &http.Server{Handler: handler, BaseContext: own}, time.Millisecond) }()

	transport := Transport(path)
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	if got := get(t, client, "http://any/"); got != "hello" {
		t.Errorf("the server answered %q, want hello", got)
	}
	resp, err := client.Get("http://any/stuck")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	cancel()
	if err := <-served; err != nil {
		t.Errorf("Serve returned %v after its context had ended, want nil", err)
	}
}

func get(t *testing.T, client *http.Client, url string) string {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

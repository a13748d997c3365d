package lab

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"golang.org/x/sync/errgroup"

	"tombolo/internal/state"
	"tombolo/internal/unixhttp"
)

// registryAddrFile is where the registry process writes the loopback address on which it
// takes pushes.
func registryAddrFile() string { return filepath.Join(RunDir, "registry.addr") }

// registryPush is the loopback address for pushes, unless it is taken. It is the same in
// every lab because, for each address, an Engine keeps a tag and remembers the layers
// that it has pushed.
const registryPush = "127.0.0.1:7979"

// RunRegistry serves an image registry until ctx ends: to the hosts on the underlay's
// gateway address, and to this machine on a loopback address, which it writes to a file.
// Blobs stay in cacheDir.
func RunRegistry(ctx context.Context) error {
	blobs := filepath.Join(cacheDir, "blobs")
	if err := os.MkdirAll(blobs, 0o700); err != nil {
		return err
	}
	var inside net.Listener
	err := InUnderlay(func() (err error) {
		inside, err = net.Listen("tcp", fmt.Sprintf("%s:%d", Gateway, RegistryPort))
		return err
	})
	if err != nil {
		return err
	}
	outside, err := listenHereOrNear(registryPush)
	if err != nil {
		inside.Close()
		return err
	}
	handler := manifests{dir: filepath.Join(RunDir, "manifests"), registry: registry.New(
		registry.WithBlobHandler(registry.NewDiskBlobHandler(blobs)),
		registry.Logger(log.New(io.Discard, "", 0)),
	)}
	if err := handler.restore(); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, l := range []net.Listener{inside, outside} {
		server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
		g.Go(func() error { return unixhttp.Serve(ctx, l, server, 0) })
	}
	g.Go(func() error { return state.Save(registryAddrFile(), outside.Addr().String(), false) })
	return g.Wait()
}

// listenHereOrNear listens on addr or, if that is taken, on a free loopback port.
func listenHereOrNear(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return net.Listen("tcp", "127.0.0.1:0")
	}
	return l, err
}

// maxManifest bounds the manifest of a push, in bytes. Real ones have a few kilobytes.
const maxManifest = 4 << 20

// manifests is a registry that keeps the pushed manifests in a folder. The registry
// behind it has them in memory only, and would forget its images when it is killed.
type manifests struct {
	registry http.Handler
	dir      string
}

type manifest struct {
	Path string `json:"path"` // of the request
	Type string `json:"type"`
	Body []byte `json:"body"`
}

// ServeHTTP keeps the manifest of a push and passes every request on. It keeps it before
// the registry accepts it; one that the registry refuses, it refuses again on restore.
func (m manifests) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/manifests/") {
		m.registry.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxManifest))
	if err == nil {
		err = m.keep(manifest{Path: r.URL.Path, Type: r.Header.Get("Content-Type"), Body: body})
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	m.registry.ServeHTTP(w, r)
}

func (m manifests) keep(one manifest) error {
	return state.Save(filepath.Join(m.dir, fmt.Sprintf("%x", sha256.Sum256([]byte(one.Path)))), one, false)
}

func (m manifests) restore() error {
	entries, err := os.ReadDir(m.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".new") { // Save was interrupted
			continue
		}
		if err := m.push(filepath.Join(m.dir, e.Name())); err != nil {
			return fmt.Errorf("manifest %s: %w", e.Name(), err)
		}
	}
	return nil
}

func (m manifests) push(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var one manifest
	if err := json.Unmarshal(text, &one); err != nil {
		return err
	}
	r, err := http.NewRequest(http.MethodPut, one.Path, bytes.NewReader(one.Body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", one.Type)
	m.registry.ServeHTTP(discard{}, r)
	return nil
}

// discard is a ResponseWriter that throws the response away.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

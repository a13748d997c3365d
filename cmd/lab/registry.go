package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
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
// Blobs stay in CacheDir.
func RunRegistry(ctx context.Context) error {
	blobs := filepath.Join(CacheDir, "blobs")
	if err := os.MkdirAll(blobs, 0o700); err != nil {
		return err
	}
	inside, err := listenInUnderlay(fmt.Sprintf("%s:%d", Gateway, RegistryPort))
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

func listenInUnderlay(addr string) (l net.Listener, err error) {
	err = InUnderlay(func() error {
		l, err = net.Listen("tcp", addr)
		return err
	})
	return l, err
}

package lab

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"tombolo/internal/state"
)

// maxManifest bounds the manifest of a push, in bytes. Real ones have a few kilobytes.
const maxManifest = 4 << 20

// manifests is a registry that keeps the pushed manifests in a folder. The registry
// behind it has them in memory only, and would forget its images when it is killed.
type manifests struct {
	registry http.Handler
	dir      string
}

// manifest is one pushed manifest.
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

// restore pushes the kept manifests to the registry.
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

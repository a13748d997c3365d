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
)

// maxManifest bounds what is kept of a push; real ones are a few kilobytes.
const maxManifest = 4 << 20

// manifests keeps in a folder the manifests that are pushed to a registry, which
// itself has them in memory only: one that was killed knows its images again.
type manifests struct {
	registry http.Handler
	dir      string
}

// manifest is one kept push.
type manifest struct {
	Path string `json:"path"` // of the request
	Type string `json:"type"`
	Body []byte `json:"body"`
}

// ServeHTTP hands requests on.
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

// keep comes before the registry's yes. One that it then refuses is refused at the
// next start again.
func (m manifests) keep(one manifest) error {
	text, err := json.Marshal(one)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return err
	}
	return writeFileAtomic(filepath.Join(m.dir, fmt.Sprintf("%x", sha256.Sum256([]byte(one.Path)))), string(text))
}

// restore pushes what is kept.
func (m manifests) restore() error {
	entries, err := os.ReadDir(m.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".new") {
			continue
		}
		var one manifest
		text, err := os.ReadFile(filepath.Join(m.dir, e.Name()))
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, &one); err != nil {
			return fmt.Errorf("manifest %s: %w", e.Name(), err)
		}
		r, err := http.NewRequest(http.MethodPut, one.Path, bytes.NewReader(one.Body))
		if err != nil {
			return fmt.Errorf("manifest %s: %w", e.Name(), err)
		}
		r.Header.Set("Content-Type", one.Type)
		m.registry.ServeHTTP(discard{}, r)
	}
	return nil
}

// discard is a ResponseWriter that nobody reads.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

package lab

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
)

// A registry that was killed knows what was pushed to it.
func TestManifestsAreKept(t *testing.T) {
	dir := t.TempDir()
	start := func() http.Handler {
		m := manifests{dir: dir, registry: registry.New(registry.Logger(log.New(io.Discard, "", 0)))}
		if err := m.restore(); err != nil {
			t.Fatal(err)
		}
		return m
	}
	ask := func(h http.Handler, method, path, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/vnd.docker.distribution.manifest.v2+json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	const path, text = "/v2/shop/web/manifests/latest", `{"schemaVersion": 2}`
	first := start()
	if w := ask(first, http.MethodGet, path, ""); w.Code != http.StatusNotFound {
		t.Errorf("before: %d", w.Code)
	}
	if w := ask(first, http.MethodPut, path, text); w.Code != http.StatusCreated {
		t.Fatalf("push: %d %s", w.Code, w.Body)
	}
	digest := ask(first, http.MethodHead, path, "").Header().Get("Docker-Content-Digest")
	second := start()
	for _, p := range []string{path, "/v2/shop/web/manifests/" + digest} {
		if w := ask(second, http.MethodGet, p, ""); w.Code != http.StatusOK || w.Body.String() != text {
			t.Errorf("after, %s: %d %s", p, w.Code, w.Body)
		}
	}
	if w := ask(second, http.MethodPut, path, strings.Repeat("x", maxManifest+1)); w.Code == http.StatusCreated {
		t.Error("takes any size")
	}
}

func TestListenHereOrNear(t *testing.T) {
	one, err := listenHereOrNear("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	two, err := listenHereOrNear(one.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer two.Close()
	if one.Addr().(*net.TCPAddr).Port == two.Addr().(*net.TCPAddr).Port {
		t.Error("one port twice")
	}
	if l, err := listenHereOrNear("nowhere"); err == nil {
		l.Close()
		t.Error("listens nowhere")
	}
}

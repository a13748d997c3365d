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

func TestARestartedRegistryHasItsManifests(t *testing.T) {
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
		t.Errorf("before the push, GET answers %d, want 404", w.Code)
	}
	if w := ask(first, http.MethodPut, path, text); w.Code != http.StatusCreated {
		t.Fatalf("the push was answered with %d %s, want 201", w.Code, w.Body)
	}
	digest := ask(first, http.MethodHead, path, "").Header().Get("Docker-Content-Digest")
	second := start()
	for _, p := range []string{path, "/v2/shop/web/manifests/" + digest} {
		if w := ask(second, http.MethodGet, p, ""); w.Code != http.StatusOK || w.Body.String() != text {
			t.Errorf("after a restart, GET %s answers %d %s, want 200 and the manifest", p, w.Code, w.Body)
		}
	}
	if w := ask(second, http.MethodPut, path, strings.Repeat("x", maxManifest+1)); w.Code == http.StatusCreated {
		t.Errorf("a manifest larger than %d bytes was accepted", maxManifest)
	}
}

func TestListenHereOrNearAvoidsATakenPort(t *testing.T) {
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
		t.Error("two listeners have the same port")
	}
	if l, err := listenHereOrNear("nowhere"); err == nil {
		l.Close()
		t.Error("an address that cannot be parsed was accepted")
	}
}

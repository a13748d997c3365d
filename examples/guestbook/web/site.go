package main

import (
	"context"
	"embed"
	"encoding/json"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

//go:embed page.html
var files embed.FS

var page = template.Must(template.ParseFS(files, "page.html"))

const (
	maxText  = 500
	patience = 3 * time.Second // limit for the stores to answer a request
)

// self is the instance that answered.
type self struct {
	Instance string `json:"instance"` // "web.2"
	Host     string `json:"host"`
	Address  string `json:"address"`
}

// whoAmI returns this instance. Tombolo sets the environment variables in every container.
func whoAmI() self {
	me := self{Host: setting("TOMBOLO_HOST", "unknown"), Instance: "unknown"}
	if name, err := os.Hostname(); err == nil {
		me.Instance = name
	}
	if service := os.Getenv("TOMBOLO_SERVICE"); service != "" {
		me.Instance = service + "." + os.Getenv("TOMBOLO_SLOT")
	}
	addrs, _ := net.InterfaceAddrs() // without any, the address stays empty
	for _, a := range addrs {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.IsGlobalUnicast() && ip.IP.To4() != nil {
			me.Address = ip.IP.String()
		}
	}
	return me
}

// site is the guestbook over HTTP: / for people, /api for programs, /healthz.
type site struct {
	book    *book
	me      self
	healthy atomic.Bool // both stores have answered once
}

func newSite(b *book, me self) http.Handler {
	s := &site{book: b, me: me}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.show)
	mux.HandleFunc("POST /{$}", s.sign)
	mux.HandleFunc("GET /api", s.api)
	mux.HandleFunc("GET /healthz", s.healthz)
	return mux
}

// view has the data that the page and the API show.
type view struct {
	self
	Hits    int64   `json:"hits"`
	Entries []entry `json:"entries"`
	Error   string  `json:"error,omitempty"`
}

func (s *site) look(ctx context.Context) view {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	v := view{self: s.me}
	var err error
	if v.Hits, err = s.book.hit(ctx); err == nil {
		v.Entries, err = s.book.last(ctx, 20)
	}
	if err != nil {
		v.Error = err.Error()
		slog.Warn("a store does not answer", "err", err)
	}
	return v
}

func status(v view) int {
	if v.Error != "" {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

func (s *site) show(w http.ResponseWriter, r *http.Request) {
	v := s.look(r.Context())
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status(v))
	if err := page.Execute(w, v); err != nil {
		slog.Debug("the visitor disconnected", "err", err)
	}
}

func (s *site) api(w http.ResponseWriter, r *http.Request) {
	v := s.look(r.Context())
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status(v))
	if err := json.NewEncoder(w).Encode(v); err != nil {
		slog.Debug("the visitor disconnected", "err", err)
	}
}

func (s *site) sign(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	e := entry{Who: strings.TrimSpace(r.FormValue("who")), Text: strings.TrimSpace(r.FormValue("text")), Via: s.me.Instance}
	if e.Who == "" || e.Text == "" || len(e.Who) > maxText || len(e.Text) > maxText {
		http.Error(w, "who and text, of at most 500 bytes each", http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	if err := s.book.add(ctx, e); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// healthz reports healthy as soon as both stores have answered once. A store that fails later is no
// reason to replace this instance.
func (s *site) healthz(w http.ResponseWriter, r *http.Request) {
	if !s.healthy.Load() {
		ctx, cancel := context.WithTimeout(r.Context(), patience)
		defer cancel()
		if err := s.book.ping(ctx); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		s.healthy.Store(true)
	}
	_, _ = w.Write([]byte("healthy\n")) // an error means that nobody reads the answer
}

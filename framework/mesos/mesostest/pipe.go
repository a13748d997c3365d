package mesostest

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// Server serves a handler over connections in memory, so that its clients can run in a
// testing/synctest bubble, where time costs nothing.
type Server struct {
	server   http.Server
	listener *pipeListener
	running  sync.WaitGroup
}

// Serve starts a server. The caller ends it with Close.
func Serve(handler http.Handler) *Server {
	s := &Server{
		server:   http.Server{Handler: handler},
		listener: &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})},
	}
	s.running.Go(func() { s.server.Serve(s.listener) })
	return s
}

// Client returns a client whose connections all lead to the server, whatever host the URL
// names.
func (s *Server) Client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return s.listener.dial(ctx) },
	}}
}

// Close cuts every connection, as when a server is killed.
func (s *Server) Close() {
	s.server.Close()
	s.running.Wait()
}

type pipeListener struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *pipeListener) dial(ctx context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

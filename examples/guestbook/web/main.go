// Command web is the guestbook's front: a page that shows which instance answered,
// a hit counter in Redis and entries in PostgreSQL. It knows both by the names that
// its Compose file gives them and nothing of the hosts they run on.
//
//	web                serve on LISTEN (:8080)
//	web -health        ask the server in this container whether it is well
//	web -lookup NAME   print the addresses of a name, as this container sees it
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() { os.Exit(run()) }

func run() int {
	health := flag.Bool("health", false, "ask the server in this container whether it is well")
	name := flag.String("lookup", "", "print the addresses of this name")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	work := serve
	switch {
	case *health:
		work = check
	case *name != "":
		work = func(ctx context.Context) error { return lookUp(ctx, *name) }
	}
	if err := work(ctx); err != nil {
		slog.Error("web ends", "err", err)
		return 1
	}
	return 0
}

// setting is an environment variable, or what stands for it.
func setting(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

func listen() string { return setting("LISTEN", ":8080") }

func serve(ctx context.Context) error {
	b, err := openBook(setting("DATABASE_URL", "postgres://guestbook@db/guestbook"), setting("REDIS_ADDR", "counter:6379"))
	if err != nil {
		return err
	}
	defer b.close()
	server := &http.Server{
		Addr:              listen(),
		Handler:           newSite(b, whoAmI()),
		ReadHeaderTimeout: 5 * time.Second,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServe() }()
	slog.Info("serving", "addr", server.Addr)
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return server.Shutdown(grace)
}

func lookUp(ctx context.Context, name string) error {
	addrs, err := net.DefaultResolver.LookupHost(ctx, name)
	if err != nil {
		return err
	}
	fmt.Println(strings.Join(addrs, " "))
	return nil
}

// check is the container's health check.
func check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, port, err := net.SplitHostPort(listen())
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:"+port+"/healthz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(fmt.Sprint("unwell: ", resp.Status))
	}
	return nil
}

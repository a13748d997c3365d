// Command web serves the guestbook's page. The page shows which instance answered, a hit counter in
// Redis and entries in PostgreSQL. The program knows both stores only by the names in its Compose
// file, and not the hosts where they run.
//
//	web                serve on the address LISTEN (by default :8080)
//	web -health        check whether the server in this container is healthy
//	web -lookup NAME   print the addresses that a name has in this container
package main

import (
	"context"
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
	health := flag.Bool("health", false, "check whether the server in this container is healthy")
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

// setting returns an environment variable, or otherwise if it is empty or not set.
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

// check is the health check of the container.
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
		return fmt.Errorf("the server answers %s", resp.Status)
	}
	return nil
}

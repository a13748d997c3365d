package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"golang.org/x/sync/errgroup"

	"tombolo/framework/local/agent"
	"tombolo/framework/local/master"
)

// Config describes a cluster.
type Config struct {
	Master master.Config
	Agents []agent.Config
	Log    *slog.Logger // nil: nothing is logged
}

// Cluster is a master and its agents in one process.
type Cluster struct {
	master *master.Master
	agents []*agent.Agent
}

// New reads what an earlier cluster left in the folders of config. It starts nothing.
func New(config Config) (*Cluster, error) {
	log := config.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	m, err := master.New(config.Master, log)
	if err != nil {
		return nil, fmt.Errorf("master: %w", err)
	}
	c := &Cluster{master: m}
	hosts := map[string]bool{}
	for _, ac := range config.Agents {
		if hosts[ac.Hostname] {
			return nil, fmt.Errorf("two agents have the hostname %q: each needs its own", ac.Hostname)
		}
		hosts[ac.Hostname] = true
		a, err := agent.New(ac, log)
		if err != nil {
			return nil, err
		}
		c.agents = append(c.agents, a)
	}
	return c, nil
}

// Handler is the HTTP API of the master. It answers while Run runs.
func (c *Cluster) Handler() http.Handler { return c.master.Handler() }

// Run runs the cluster until ctx ends, and then returns nil. The containers run on, and
// a later cluster with the same folders takes them over.
func (c *Cluster) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.master.Run(ctx) })
	for _, a := range c.agents {
		group.Go(func() error { return a.Run(ctx, c.master) })
	}
	return group.Wait()
}

package local

import (
	"context"
	"fmt"
	"net/http"

	"golang.org/x/sync/errgroup"
)

// Cluster is a master and its agents in one process.
type Cluster struct {
	master *master
	agents []*agent
}

// NewCluster reads what an earlier cluster left in its folders. It starts
// nothing.
func NewCluster(config Config) (*Cluster, error) {
	m, err := newMaster(config)
	if err != nil {
		return nil, fmt.Errorf("master: %w", err)
	}
	c := &Cluster{master: m}
	hosts := map[string]bool{}
	for _, ac := range config.Agents {
		if hosts[ac.Hostname] {
			return nil, fmt.Errorf("two agents on host %q", ac.Hostname)
		}
		hosts[ac.Hostname] = true
		a, err := newAgent(ac, m.log)
		if err != nil {
			return nil, err
		}
		c.agents = append(c.agents, a)
	}
	return c, nil
}

// Handler is the master: the v1 scheduler API at /api/v1/scheduler, and /health,
// /version, /state. It answers while Run runs.
func (c *Cluster) Handler() http.Handler { return c.master.Handler() }

// Run runs the cluster until ctx ends. Containers run on: the agents of a later
// cluster with the same folders take them over. It returns nil when ctx ends.
func (c *Cluster) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.master.Run(ctx) })
	for _, a := range c.agents {
		group.Go(func() error { return a.Run(ctx, c.master) })
	}
	return group.Wait()
}

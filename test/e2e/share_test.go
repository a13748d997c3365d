package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"tombolo/cmd/lab"
	"tombolo/framework/api"
)

// Three replicas that publish one port run on three hosts. When one host dies, they run on the other
// two, and new connections to the host with two replicas are balanced between these.
func TestReplicasShareAPublishedPort(t *testing.T) {
	file := compose(t, "shared", `
  web:
    image: %IMAGE%
    command: [serve, "80"]
    ports: ["8088:80"]
    deploy: {replicas: 3}
`)
	up(t, file)
	allUp(t, "shared", 3)
	for _, h := range testLab.Hosts {
		answered(t, h, 1)
	}
	dead := testLab.Hosts[2].Name
	kill(t, dead)
	within(t, func(ctx context.Context) error { return elsewhere(ctx, "shared", dead) })
	on := map[string][]api.Instance{}
	for _, i := range allUp(t, "shared", 3) {
		on[i.Host] = append(on[i.Host], i)
	}
	for _, h := range testLab.Hosts[:2] {
		answered(t, h, len(on[h.Name]))
		if len(on[h.Name]) < 2 {
			continue
		}
		if out, err := docker(t.Context(), h, "rm", "-f", on[h.Name][0].Container); err != nil {
			t.Fatalf("rm: %v: %s", err, out)
		}
		within(t, func(context.Context) error { // soon no connection goes to the removed replica
			for range 20 {
				if _, err := whoAnswers(h); err != nil {
					return fmt.Errorf("with one replica removed: %w", err)
				}
			}
			return nil
		})
	}
}

// answered waits until n different replicas have answered on a host's published port.
func answered(t *testing.T, h lab.Host, n int) {
	t.Helper()
	within(t, func(context.Context) error {
		who := map[string]int{}
		for range 30 {
			name, err := whoAnswers(h)
			if err != nil {
				return err
			}
			who[name]++
		}
		if len(who) != n {
			return fmt.Errorf("the replicas %v answered on %s, want %d replicas", who, h.Name, n)
		}
		return nil
	})
}

// whoAnswers connects to the published port from outside of the hosts and returns the answer.
func whoAnswers(h lab.Host) (name string, err error) {
	err = lab.InUnderlay(func() error {
		c, err := net.DialTimeout("tcp", h.Underlay.String()+":8088", 2*time.Second)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(c, "who"); err != nil {
			return err
		}
		name, err = bufio.NewReader(c).ReadString('\n')
		return err
	})
	return name, err
}

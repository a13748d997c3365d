package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

const (
	vipRounds = 20
	vipSlice  = "500ms"
)

// target is an address that leads a container on the first host to one on the second.
type target struct {
	name   string
	client string // the container on the first host
	addr   string // address and port

	rate    []float64 // Gbit/s
	connect []float64 // connections per second
}

// benchVIP measures each target once in each round: the address of a service, and that of the one
// container behind it, so that the difference is the cost of the service's address.
func benchVIP(ctx context.Context, b *bed, out io.Writer) ([]goal, error) {
	ours, err := b.tomboloService(ctx)
	if err != nil {
		return nil, fmt.Errorf("tombolo: %w", err)
	}
	theirs, err := b.swarmService(ctx)
	if err != nil {
		return nil, fmt.Errorf("swarm: %w", err)
	}
	defer b.removeServices(ctx)
	all := slices.Concat(ours, theirs)
	for round := range vipRounds {
		for i := range all {
			if err := b.sampleTarget(ctx, all[(round+i)%len(all)]); err != nil {
				return nil, err
			}
		}
	}
	printVIP(out, all)
	direct, vip := ours[0], ours[1]
	goals := []goal{
		{figure: "TCP stream to a service's address, x direct", got: ratio(vip.rate, direct.rate).Median, bound: 0.97, atLeast: true},
		{figure: "connections to a service's address, x direct", got: ratio(vip.connect, direct.connect).Median, bound: 0.97, atLeast: true},
	}
	if len(theirs) == 2 {
		goals = append(goals,
			goal{figure: "TCP stream to a service's address, x Swarm's", got: ratio(vip.rate, theirs[1].rate).Median, bound: 1, atLeast: true},
			goal{figure: "connections to a service's address, x Swarm's", got: ratio(vip.connect, theirs[1].connect).Median, bound: 1, atLeast: true})
	}
	return goals, nil
}

// The containers and services of this bench. A container of ours has the name of its service.
const (
	vipClient      = "vip-client"
	vipServer      = "vip-server"
	vipSwarmClient = "vip-swarm-client"
	vipSwarmServer = "vip-swarm-server"
)

// tomboloService starts a service and its client, and returns the two ways from one to the other.
func (b *bed) tomboloService(ctx context.Context) ([]*target, error) {
	client, server := b.engines[0], b.engines[1]
	if err := client.run(ctx, netTombolo, vipClient, "stamp"); err != nil {
		return nil, err
	}
	if err := server.run(ctx, netTombolo, vipServer, "serve-tcp", tcpPort); err != nil {
		return nil, err
	}
	direct, err := server.address(ctx, netTombolo, vipServer)
	if err != nil {
		return nil, err
	}
	var vip string
	err = settle(ctx, func() error {
		vip, err = client.docker(ctx, "exec", vipClient, "/bench", "lookup", vipServer)
		return err
	})
	if err != nil {
		return nil, err
	}
	if vip == direct {
		return nil, fmt.Errorf("the service has no address of its own, its name leads to %s", direct)
	}
	return b.settled(ctx, &target{name: "tombolo, direct", client: vipClient, addr: direct + tcpPort},
		&target{name: "tombolo, service address", client: vipClient, addr: vip + tcpPort})
}

// swarmService does the same on Swarm's overlay. It returns the direct way alone where the kernel
// lacks IPVS, by which Swarm balances.
func (b *bed) swarmService(ctx context.Context) ([]*target, error) {
	first := b.engines[0]
	if err := first.run(ctx, netSwarm, vipSwarmClient, "stamp"); err != nil {
		return nil, err
	}
	node, err := b.engines[1].docker(ctx, "info", "-f", "{{.Swarm.NodeID}}")
	if err != nil {
		return nil, err
	}
	if _, err := first.docker(ctx, "service", "create", "-d", "--no-resolve-image", "--name", vipSwarmServer, "--network", netSwarm,
		"--constraint", "node.id=="+node, image, "serve-tcp", tcpPort); err != nil {
		return nil, err
	}
	var direct string
	err = settle(ctx, func() error {
		id, err := b.engines[1].docker(ctx, "ps", "-q", "--filter", "label=com.docker.swarm.service.name="+vipSwarmServer)
		if err == nil && id == "" {
			err = fmt.Errorf("the service %s has not started", vipSwarmServer)
		}
		if err == nil {
			direct, err = b.engines[1].address(ctx, netSwarm, id)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	ways, err := b.settled(ctx, &target{name: "swarm, direct", client: vipSwarmClient, addr: direct + tcpPort})
	if err != nil {
		return nil, err
	}
	vip, err := first.docker(ctx, "service", "inspect", "-f", "{{(index .Endpoint.VirtualIPs 0).Addr}}", vipSwarmServer)
	if err != nil {
		return nil, err
	}
	vip, _, _ = strings.Cut(vip, "/")
	through := &target{name: "swarm, VIP", client: vipSwarmClient, addr: vip + tcpPort}
	if _, err := b.measureTarget(ctx, "connect", through, "10ms"); err != nil {
		return ways, nil //nolint:nilerr // printVIP says that the row is missing
	}
	return append(ways, through), nil
}

func (b *bed) removeServices(ctx context.Context) {
	ctx = context.WithoutCancel(ctx) // what cannot be removed goes with the lab
	_, _ = b.engines[0].docker(ctx, "service", "rm", vipSwarmServer)
	for _, name := range []string{vipClient, vipSwarmClient} {
		_ = b.engines[0].remove(ctx, name)
	}
	_ = b.engines[1].remove(ctx, vipServer)
}

// settled waits until the targets answer.
func (b *bed) settled(ctx context.Context, all ...*target) ([]*target, error) {
	for _, t := range all {
		if err := settle(ctx, func() error {
			_, err := b.measureTarget(ctx, "connect", t, "10ms")
			return err
		}); err != nil {
			return nil, fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return all, nil
}

func (b *bed) sampleTarget(ctx context.Context, t *target) error {
	rate, err := b.measureTarget(ctx, "stream", t, vipSlice)
	if err != nil {
		return fmt.Errorf("%s: %w", t.name, err)
	}
	connect, err := b.measureTarget(ctx, "connect", t, vipSlice)
	if err != nil {
		return fmt.Errorf("%s: %w", t.name, err)
	}
	t.rate, t.connect = append(t.rate, rate*8/1e9), append(t.connect, connect)
	return nil
}

// measureTarget runs a tool in the target's client and returns its result.
func (b *bed) measureTarget(ctx context.Context, tool string, t *target, slice string) (result float64, err error) {
	text, err := b.engines[0].docker(ctx, "exec", t.client, "/bench", tool, t.addr, slice)
	if err == nil {
		err = json.Unmarshal([]byte(text), &result)
	}
	return result, err
}

func printVIP(out io.Writer, all []*target) {
	title := fmt.Sprintf("TCP to a service with one instance on another host (%d rounds of %s each; median [quartiles]; ratios paired by round)", vipRounds, vipSlice)
	table(out, title, func(w io.Writer) {
		fmt.Fprintln(w, "WAY\tSTREAM\tx DIRECT\tCONNECTIONS/S\tx DIRECT")
		for i, t := range all {
			direct := all[i/2*2] // the rows come in pairs
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", t.name, figure(t.rate, "Gbit/s"), against(t.rate, direct.rate), figure(t.connect, ""), against(t.connect, direct.connect))
		}
		if len(all)%2 != 0 {
			fmt.Fprintln(w, "swarm, VIP\tdoes not answer: it needs a kernel with IPVS")
		}
	})
}

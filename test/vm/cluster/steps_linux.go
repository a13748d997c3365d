package main

import (
	"context"
	"fmt"
	"strings"
)

// install installs each machine like the Vagrantfile.
func (b *bed) install(ctx context.Context) error {
	err := b.each(ctx, func(ctx context.Context, m *machine) error {
		var join string
		for _, peer := range b.cluster {
			if peer != m {
				join += " --join " + peer.addr
			}
		}
		_, err := m.run(ctx, fmt.Sprintf("tombolo/packaging/install.sh linker --host %s --underlay %s%s", m.name, m.addr, join))
		return err
	})
	if err != nil {
		return err
	}
	err = b.each(ctx, func(ctx context.Context, m *machine) error {
		return until(ctx, func() error {
			out, err := m.run(ctx, "tombolo linker status")
			if want := fmt.Sprintf("%d alive", len(b.cluster)-1); err == nil && !strings.Contains(out, want) {
				err = fmt.Errorf("%s: %w: %s in %q", m.name, errNotYet, want, out)
			}
			return err
		})
	})
	if err != nil {
		return err
	}
	return b.show(ctx, b.cluster[0], "tombolo linker status")
}

// start is the docker command that starts a container of an app, as any scheduler may start it.
const start = "docker run -d --restart always --name %[1]s --network tombolo --label tombolo.app=%[2]s --label tombolo.service=%[1]s " +
	"-v /var/lib/tombolo/resolv.conf:/etc/resolv.conf:ro probe %[3]s"

func (b *bed) useNames(ctx context.Context) error {
	control, agent1, agent2 := b.cluster[0], b.cluster[1], b.cluster[2]
	for _, c := range []struct {
		m                  *machine
		service, app, args string
	}{
		{agent1, "db", "shop", "serve 5432"}, {agent2, "web", "shop", "serve 80"}, {control, "other", "stranger", "serve 80"},
	} {
		if _, err := c.m.run(ctx, fmt.Sprintf(start, c.service, c.app, c.args)); err != nil {
			return err
		}
	}
	if err := b.dial(ctx); err != nil {
		return err
	}
	if err := b.show(ctx, agent2, "docker exec web /probe lookup db; docker exec web /probe dial db:5432"); err != nil {
		return err
	}
	if out, err := control.run(ctx, "docker exec other /probe dial other:80"); err != nil {
		return fmt.Errorf("the container of another app cannot reach itself: %s", out)
	}
	if out, err := control.run(ctx, "docker exec other /probe dial db:5432"); err == nil {
		return fmt.Errorf("the container of another app reaches db: %s", out)
	}
	// This container holds a connection, which must survive all later steps up to the restart of Docker.
	_, err := agent2.run(ctx, strings.Replace(fmt.Sprintf(start, "holder", "shop", "hold db:5432"), "--restart always ", "", 1))
	return err
}

// dial waits until web reaches db by name.
func (b *bed) dial(ctx context.Context) error {
	return until(ctx, func() error {
		_, err := b.cluster[2].run(ctx, "docker exec web /probe dial db:5432")
		return err
	})
}

// held checks that the connection that began in useNames still works.
func (b *bed) held(ctx context.Context) error {
	out, err := b.cluster[2].run(ctx, "docker inspect -f '{{.State.Running}}' holder; docker logs --tail 1 holder")
	if err == nil && !strings.HasPrefix(out, "true") {
		err = fmt.Errorf("the held connection broke: %s", out)
	}
	return err
}

func (b *bed) stopLinker(ctx context.Context) error {
	agent1 := b.cluster[1]
	const pids = "systemctl show -p MainPID --value tombolo-linker"
	before, err := agent1.run(ctx, pids)
	if err != nil {
		return err
	}
	if _, err := agent1.run(ctx, "pkill -STOP -x tombolo"); err != nil {
		return err
	}
	err = until(ctx, func() error {
		now, err := agent1.run(ctx, pids)
		if err == nil && (now == before || strings.TrimSpace(now) == "0") {
			err = fmt.Errorf("%w: the main process of tombolo-linker is %s, and was %s before SIGSTOP", errNotYet, strings.TrimSpace(now), strings.TrimSpace(before))
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := b.show(ctx, agent1, "journalctl -u tombolo-linker --no-pager -o cat -g watchdog | tail -n 3"); err != nil {
		return err
	}
	if _, err := agent1.run(ctx, "timeout 60 docker run --rm --network tombolo probe end 0"); err != nil {
		return err
	}
	return b.held(ctx)
}

func (b *bed) restartOthers(ctx context.Context) error {
	if _, err := b.cluster[2].run(ctx, "systemctl restart systemd-networkd"); err != nil {
		return err
	}
	if err := b.dial(ctx); err != nil {
		return err
	}
	if err := b.held(ctx); err != nil {
		return err
	}
	// Docker stops all containers and starts those with --restart always again.
	if _, err := b.cluster[2].run(ctx, "systemctl restart docker"); err != nil {
		return err
	}
	return b.dial(ctx)
}

func (b *bed) rebootAgent(ctx context.Context) error {
	if err := b.cluster[1].reboot(ctx); err != nil {
		return err
	}
	if err := b.dial(ctx); err != nil {
		return err
	}
	return b.show(ctx, b.cluster[1], "systemctl show -p ActiveEnterTimestamp tombolo-linker docker; docker ps --format '{{.Names}}: {{.Status}}'")
}

// app is the Compose file for the single machine.
const app = `name: shop
services:
  web:
    image: probe
    command: [serve, "80"]
    deploy: {replicas: 2}
    links: ["db:store"]
    ports: ["8080:80"]
  db:
    image: probe
    command: [serve, "5432"]
`

func (b *bed) bootAlone(ctx, step context.Context) error {
	m, err := boot(ctx, b.image, b.dir, names[3], 3)
	if err != nil {
		return err
	}
	b.alone = m
	if err := b.furnish(step, m); err != nil {
		return err
	}
	if _, err := m.run(step, "tombolo/packaging/install.sh daemon"); err != nil {
		return err
	}
	if err := b.show(step, m, "tombolo -f tombolo/compose.yaml up"); err != nil {
		return err
	}
	if err := m.reboot(step); err != nil {
		return err
	}
	err = until(step, func() error {
		_, err := m.run(step, "tombolo -f tombolo/compose.yaml up --wait-timeout 60s && docker exec $(docker ps -qf label=tombolo.service=web | head -1) /probe dial store:5432")
		return err
	})
	if err != nil {
		return err
	}
	return b.show(step, m, "tombolo -p shop ps")
}

package main

import (
	"context"
	"fmt"
)

// vxlanScript makes one end of a routed VXLAN and connects a container without a network to it. That
// is the same as tombolo's data plane without policy. $1 is this host's number, $2 the other's, $3
// and $4 are their underlay addresses, and $5 is a process of the container.
const vxlanScript = `
in="nsenter -t $5 -n"
ip link add bench0 mtu 1450 type veth peer name eth0 mtu 1450 netns $5
ip addr add 169.254.77.1/32 dev bench0
ip link set bench0 up
$in ip addr add 10.77.$1.2/32 dev eth0
$in ip link set eth0 up
$in ip route add 169.254.77.1 dev eth0
$in ip route add default via 169.254.77.1
ip route add 10.77.$1.2/32 dev bench0
ip link add bench-vx address 02:77:00:00:00:0$1 mtu 1450 type vxlan id 77 dstport 4777 local $3 nolearning
ip link set bench-vx up
ip addr add 10.77.$1.1/32 dev bench-vx
ip neigh add 10.77.$2.1 lladdr 02:77:00:00:00:0$2 dev bench-vx nud permanent
bridge fdb append 02:77:00:00:00:0$2 dev bench-vx dst $4
ip route add 10.77.$2.0/24 via 10.77.$2.1 dev bench-vx onlink
sysctl -qw net.ipv4.ip_forward=1
iptables -I DOCKER-USER -i bench0 -j ACCEPT
iptables -I DOCKER-USER -o bench0 -j ACCEPT
`

// makeVXLAN connects two containers, one on each of the first two hosts.
func (b *bed) makeVXLAN(ctx context.Context, containers [2]string) error {
	for i, container := range containers {
		here, there := b.engines[i], b.engines[1-i]
		pid, err := here.docker(ctx, "inspect", "-f", "{{.State.Pid}}", container)
		if err != nil {
			return err
		}
		cmd := here.host.Command("sh", "-ec", vxlanScript, "sh", fmt.Sprint(i+1), fmt.Sprint(2-i),
			here.host.Underlay.String(), there.host.Underlay.String(), pid)
		if _, err := output(cmd); err != nil {
			return fmt.Errorf("hand-made VXLAN on %s: %w", here.host.Name, err)
		}
	}
	return nil
}

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// interface_name reaches the container on Engines that can name an interface. On an older one the
// container does not start, and `up` says why.
func TestInterfaceNames(t *testing.T) {
	file := compose(t, "named", `
  web: {image: %IMAGE%, command: [serve, "80"], networks: {default: {interface_name: front0}}}
  asker: {image: %IMAGE%, command: [serve, "80"]}
`)
	version, err := docker(t.Context(), testLab.Hosts[0], "version", "-f", "{{.Server.Version}}")
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(version, "20.") {
		if failed := upFails(t, file); !strings.Contains(failed, "interface_name front0: this host's Docker Engine is "+version) {
			t.Errorf("up does not say that Engine %s cannot name an interface:\n%s", version, failed)
		}
		return
	}
	up(t, file)
	web := instance(t, "named", "web", 1)
	h, err := testLab.Host(web.Host)
	if err != nil {
		t.Fatal(err)
	}
	links, err := inSandbox(t, *h, web.Container, "ip", "-o", "addr", "show", "dev", "front0")
	if err != nil || !strings.Contains(links, web.Address) {
		t.Errorf("the interface front0 has the addresses %q, want %s: %v", links, web.Address, err)
	}
	if mode, err := docker(t.Context(), *h, "inspect", "-f", "{{.HostConfig.NetworkMode}}", web.Container); err != nil || mode != "tombolo" {
		t.Errorf("the container's network mode is %q, and Mesos looks for the address under it: %v", mode, err)
	}
	if out, err := inInstance(t.Context(), instance(t, "named", "asker", 1), "dial", "web:80"); err != nil {
		t.Errorf("asker does not reach web: %v: %s", err, out)
	}
}

// Services with a network_mode run on the host's network, on Docker's bridge, or on none, and their
// names do not exist. On the overlay, aliases may have several labels.
func TestNetworkModes(t *testing.T) {
	up(t, compose(t, "modes", `
  host: {image: %IMAGE%, command: [serve, "8123"], network_mode: host}
  bridge: {image: %IMAGE%, command: [serve, "80"], network_mode: bridge, ports: ["8124:80"], dns: 192.0.2.53, dns_search: corp.example, dns_opt: ["timeout:2"]}
  none: {image: %IMAGE%, command: [serve, "80"], network_mode: none}
  web:
    image: %IMAGE%
    command: [serve, "80"]
    networks: {default: {aliases: [web.example.com]}}
  asker: {image: %IMAGE%, command: [serve, "80"], links: ["web:the.web"]}
`))
	for _, i := range allUp(t, "modes", 5) {
		h, err := testLab.Host(i.Host)
		if err != nil {
			t.Fatal(err)
		}
		out, err := docker(t.Context(), *h, "inspect", "-f", "{{.HostConfig.NetworkMode}}", i.Container)
		want := map[string]string{"web": "tombolo", "asker": "tombolo"}[i.Service]
		if want == "" {
			want = i.Service
		}
		if err != nil || strings.TrimSpace(out) != want {
			t.Errorf("%s has the network mode %q, want %q: %v", i.Service, out, want, err)
		}
	}
	for service, port := range map[string]string{"host": "8123", "bridge": "8124"} {
		h, err := testLab.Host(instance(t, "modes", service, 1).Host)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := h.Command(probe, "dial", "127.0.0.1:"+port).CombinedOutput(); err != nil {
			t.Errorf("%s does not answer on its host: %v: %s", service, err, out)
		}
	}
	b := instance(t, "modes", "bridge", 1)
	h, err := testLab.Host(b.Host)
	if err != nil {
		t.Fatal(err)
	}
	conf := inHost(t, *h, "docker", "inspect", "-f", "{{.ResolvConfPath}}", b.Container)
	for _, line := range []string{"nameserver 192.0.2.53", "search corp.example", "options timeout:2"} {
		if got := inHost(t, *h, "cat", conf); !strings.Contains(got, line) {
			t.Errorf("the resolv.conf of bridge lacks %q: %s", line, got)
		}
	}
	asker := instance(t, "modes", "asker", 1)
	for _, name := range []string{"web.example.com", "the.web"} {
		within(t, func(ctx context.Context) error {
			out, err := inInstance(ctx, asker, "dial", name+":80")
			if err != nil {
				return fmt.Errorf("asker dials %s: %w: %s", name, err, out)
			}
			return nil
		})
	}
	if out, err := inInstance(t.Context(), asker, "lookup", "bridge"); err == nil {
		t.Errorf("the name bridge exists: %s", out)
	}
}

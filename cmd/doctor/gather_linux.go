package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"tombolo/cmd/docker"
	"tombolo/dns"
	"tombolo/internal/unixhttp"
	"tombolo/linker"
	"tombolo/linker/api"
	"tombolo/linker/record"
	"tombolo/overlay"
)

// Places are where a host has what Gather looks at.
type Places struct {
	Linker string // socket of the linker's API
	Docker string // address of the Engine
	Plugin string // socket of the linker's Docker plugin
	Proc   string // usually /proc
	Disks  []string
}

// Here are the places of this machine.
func Here(linkerSocket string) Places {
	return Places{
		Linker: linkerSocket, Docker: docker.Machine(), Plugin: "/run/docker/plugins/tombolo.sock",
		Proc: "/proc", Disks: []string{"/var/lib/tombolo", "/var/lib/docker"},
	}
}

// gatherTimeout bounds each question to the linker or to Docker.
const gatherTimeout = 10 * time.Second

// Gather looks at this machine. It changes nothing.
func Gather(ctx context.Context, at Places) Facts {
	f := Facts{Clock: clock(), Disks: disks(at.Disks), Kernel: kernel(at.Proc)}
	f.Host, _ = os.Hostname()
	f.Docker = engine(ctx, at)
	f.askLinker(ctx, at.Linker)
	f.Pools.Pool4 = pool(f)
	f.Pools.Resolvers, _ = dns.Resolvers(overlay.Gateway4) // without a resolv.conf, there are none
	if err := overlay.CheckPool(f.Pools.Pool4); err != nil {
		f.Pools.Conflict = err.Error()
	}
	if f.Linker != nil {
		f.Network = network(f.Linker.Host.Underlay)
	} else {
		f.Drops = drops(ctx, f.Pools.Pool4)
	}
	return f
}

// drops looks at the host's firewall as the linker does, and changes nothing.
func drops(ctx context.Context, pool netip.Prefix) (all []Drop) {
	ctx, cancel := context.WithTimeout(ctx, gatherTimeout)
	defer cancel()
	for _, found := range overlay.LookAtFirewall(ctx, pool) {
		if !found.Mended {
			all = append(all, Drop{Place: found.Place(), Why: found.What() + ": " + found.Reason, Remedy: found.Remedy})
		}
	}
	rules, _ := overlay.PoolDrops(ctx, pool) // where nft is missing, there is a finding about that already
	for _, r := range rules {
		all = append(all, Drop{Why: r.Rule + " drops packets of the pool", Pool: true})
	}
	return all
}

func (f *Facts) askLinker(ctx context.Context, socket string) {
	ctx, cancel := context.WithTimeout(ctx, gatherTimeout)
	defer cancel()
	c := api.NewClient(socket)
	defer c.Close()
	status, err := c.Status(ctx)
	if err != nil {
		f.NoReply = err.Error()
		return
	}
	f.Linker, f.Host = &status, status.Host.Name
	catalog, err := c.Catalog(ctx)
	if err != nil {
		return
	}
	catalog = catalog.ByName()
	f.Peers = peers(status, catalog)
	f.Names = names(ctx, c, status.Host.Name, catalog)
}

func peers(s api.Status, catalog *record.Snapshot) (all []Peer) {
	for _, p := range s.Peers {
		peer := Peer{Name: p.Name, State: p.State, Underlay: p.Underlay}
		if h := catalog.Hosts[p.Name]; h != nil {
			peer.MTU, peer.Troubles = h.MTU, h.Troubles
		}
		all = append(all, peer)
	}
	return all
}

// maxNames bounds the containers from whose side a name is looked up.
const maxNames = 3

// names looks the host's own name up from inside of some of its containers.
func names(ctx context.Context, c *api.Client, host string, catalog *record.Snapshot) (all []Names) {
	for _, ep := range catalog.Endpoints {
		if ep.Host != host || !ep.Running || len(all) == maxNames {
			continue
		}
		seen, err := c.Inspect(ctx, api.InspectQuery{Container: ep.Addr4.String(), Name: host + ".host." + linker.Zone})
		if err != nil || seen.Answer == nil || !seen.Attached {
			continue // the container has just ended
		}
		all = append(all, Names{Container: ep.ContainerName, Error: seen.Answer.Error})
	}
	return all
}

// pool returns the overlay's range: that of the Docker network, which the linker makes.
func pool(f Facts) netip.Prefix {
	if f.Docker.Subnet.IsValid() {
		return f.Docker.Subnet
	}
	return linker.DefaultPool4
}

func kernel(proc string) Kernel {
	k := Kernel{Release: read(filepath.Join(proc, "sys/kernel/osrelease")), Sysctls: map[string]string{}, Modules: map[string]string{}}
	if err := overlay.CheckVXLAN(); err != nil {
		k.VXLAN = err.Error()
	}
	for _, name := range forwardSysctls {
		if value := read(filepath.Join(proc, "sys", strings.ReplaceAll(name, ".", "/"))); value != "" {
			k.Sysctls[name] = value
		}
	}
	have, known := modules("/lib/modules/" + k.Release)
	for module, why := range needed {
		if known && !have[module] && !exists("/sys/module/"+module) {
			k.Modules[module] = why
		}
	}
	return k
}

// needed are the modules that the overlay needs, with what for.
var needed = map[string]string{
	"vxlan": "the tunnel between hosts", "veth": "the interfaces of containers", "nf_tables": "the packet policy",
	"nft_nat": "published ports", "nft_reject_inet": "answers to refused packets",
	"sch_ingress": "the policy that fails closed", "cls_bpf": "the policy that fails closed",
}

// modules lists what a kernel has as modules or built in. It returns false if that cannot be
// found out, as in a container.
func modules(dir string) (have map[string]bool, known bool) {
	have = map[string]bool{}
	for _, file := range []string{"modules.dep", "modules.builtin"} {
		text := read(filepath.Join(dir, file))
		if text == "" {
			return nil, false
		}
		for line := range strings.Lines(text) {
			path, _, _ := strings.Cut(strings.TrimSpace(line), ":")
			name, _, _ := strings.Cut(filepath.Base(path), ".ko")
			have[strings.ReplaceAll(name, "-", "_")] = true
		}
	}
	return have, true
}

func read(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(b))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// clock asks the kernel whether a time service keeps its clock right: STA_UNSYNC of
// adjtimex(2).
func clock() Clock {
	var t unix.Timex
	_, err := unix.Adjtimex(&t)
	return Clock{Synchronised: err == nil && t.Status&unix.STA_UNSYNC == 0}
}

func disks(paths []string) (all []Disk) {
	for _, path := range paths {
		var s unix.Statfs_t
		if unix.Statfs(path, &s) != nil {
			continue // it is made at the first start
		}
		size := uint64(s.Bsize)
		all = append(all, Disk{
			Path: path, Free: s.Bfree * size, Size: s.Blocks * size, FreeInodes: s.Ffree, Inodes: s.Files,
			ReadOnly: s.Flags&unix.ST_RDONLY != 0,
		})
	}
	return all
}

func network(underlay netip.Addr) (n Network) {
	links, err := net.Interfaces()
	if err != nil {
		return n
	}
	for _, l := range links {
		if l.Name == overlay.Device {
			n.Device, n.DeviceMTU = l.Name, l.MTU
		}
		addrs, _ := l.Addrs()
		for _, a := range addrs {
			if ip, ok := a.(*net.IPNet); ok && ip.IP.Equal(underlay.AsSlice()) {
				n.Underlay, n.UnderlayMTU = l.Name, l.MTU
			}
		}
	}
	return n
}

// engine asks the Docker Engine through its command, as the agent does.
func engine(ctx context.Context, at Places) (d Docker) {
	ctx, cancel := context.WithTimeout(ctx, gatherTimeout)
	defer cancel()
	version, err := docker.Run(ctx, at.Docker, "version", "--format", "{{.Server.Version}}")
	if err != nil {
		d.Error = strings.ReplaceAll(err.Error(), "\n", ": ")
		return d
	}
	d.Version = strings.TrimSpace(version)
	found, err := docker.Run(ctx, at.Docker, "network", "inspect", linker.Network, "--format", "{{.Driver}} {{range .IPAM.Config}}{{.Subnet}} {{end}}")
	if fields := strings.Fields(found); err == nil && len(fields) > 0 {
		d.Driver = fields[0]
		for _, text := range fields[1:] {
			if p, err := netip.ParsePrefix(text); err == nil && p.Addr().Is4() {
				d.Subnet = p
			}
		}
	}
	if err := activate(ctx, at.Plugin); err != nil {
		d.Plugin = err.Error()
	}
	return d
}

// activate does what Docker does first with a plugin.
func activate(ctx context.Context, socket string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://plugin/Plugin.Activate", strings.NewReader("{}"))
	if err != nil {
		return err
	}
	transport := unixhttp.Transport(socket)
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return errors.Unwrap(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers with %s", socket, res.Status)
	}
	return nil
}

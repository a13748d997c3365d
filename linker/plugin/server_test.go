package plugin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"tombolo/linker/attach"
	"tombolo/linker/attach/attachtest"
	"tombolo/linker/ipam"
	"tombolo/linker/plugin"
)

var (
	pool4 = netip.MustParsePrefix("100.64.0.0/10")
	epA   = strings.Repeat("a", 64)
	log   = slog.New(slog.DiscardHandler)
)

// host has a plugin with a real table and fake interfaces.
type host struct {
	*plugin.Server
	table  *attach.Table
	ifaces *attachtest.Interfaces
	socket string
}

func newHost(t testing.TB, deadline time.Duration) *host {
	t.Helper()
	dir := t.TempDir()
	addrs, err := ipam.Open(filepath.Join(dir, "ipam.json"), log)
	if err != nil {
		t.Fatal(err)
	}
	if err := addrs.Use(netip.MustParsePrefix("100.64.7.0/24"), netip.MustParsePrefix("fd12:3456:789a:0:7::/80")); err != nil {
		t.Fatal(err)
	}
	h := &host{ifaces: &attachtest.Interfaces{}, socket: filepath.Join(dir, "plugins", "tombolo.sock")}
	h.table, err = attach.Open(attach.Config{
		File: filepath.Join(dir, "endpoints.json"), Addresses: addrs, Interfaces: h.ifaces,
		Sockets:  attachtest.Sockets{"22/tcp": "sshd (pid 7)"},
		Describe: func(string) string { return "" }, WithoutService: func(string) bool { return false }, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	h.Server = plugin.New(plugin.Config{
		Socket: h.socket, Pool4: pool4, Table: h.table, Deadline: deadline, Log: log,
	})
	return h
}

// start runs the server until the test ends.
func (h *host) start(t *testing.T) *http.Client {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	c := client(h.socket)
	t.Cleanup(func() {
		c.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run returned %v after its context had ended, want nil", err)
		}
		goleak.VerifyNone(t)
	})
	return c
}

// client dials a socket again and again until a server listens there.
func client(socket string) *http.Client {
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		for {
			c, err := new(net.Dialer).DialContext(ctx, "unix", socket)
			if err == nil || ctx.Err() != nil {
				return c, err
			}
		}
	}}
	return &http.Client{Transport: tr, Timeout: 10 * time.Second}
}

func post(t *testing.T, c *http.Client, path, body string) (int, string) {
	t.Helper()
	resp, err := c.Post("http://plugin"+path, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatalf("POST %s: %v", path, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(raw))
}

// The calls are in the order in which an Engine makes them.
func TestEveryCallOfAnEngineIsAnswered(t *testing.T) {
	h := newHost(t, 0)
	c := h.start(t)
	ep := `"NetworkID":"net1","EndpointID":"` + epA + `"`
	for _, tt := range []struct{ path, body, want string }{
		{"/Plugin.Activate", "", `{"Implements":["NetworkDriver","IpamDriver"]}`},
		{"/NetworkDriver.GetCapabilities", "", `{"Scope":"local","ConnectivityScope":"global"}`},
		{"/IpamDriver.GetCapabilities", "", `{"RequiresMACAddress":true,"RequiresRequestReplay":false}`},
		{"/IpamDriver.GetDefaultAddressSpaces", "null", `{"LocalDefaultAddressSpace":"tombolo","GlobalDefaultAddressSpace":"tombolo"}`},
		{"/IpamDriver.RequestPool", `{"AddressSpace":"tombolo","V6":false}`, `{"PoolID":"tombolo4","Pool":"0.0.0.0/0","Data":{"com.docker.network.gateway":"169.254.1.1/32"}}`},
		{"/IpamDriver.RequestPool", `{"Pool":"100.64.0.0/10"}`, `{"PoolID":"tombolo4","Pool":"100.64.0.0/10","Data":{"com.docker.network.gateway":"169.254.1.1/32"}}`},
		{"/NetworkDriver.CreateNetwork", `{"NetworkID":"net1","IPv4Data":[{"Pool":"100.64.0.0/10"}]}`, `{}`},
		{"/IpamDriver.RequestAddress", `{"PoolID":"tombolo4","Options":{"com.docker.network.endpoint.macaddress":"02:42:00:00:00:01"}}`, `{"Address":"100.64.7.2/32","Data":{}}`},
		{"/NetworkDriver.CreateEndpoint", `{` + ep + `,"Interface":{"Address":"100.64.7.2/32","MacAddress":"02:42:00:00:00:01"},` +
			`"Options":{"com.docker.network.portmap":[{"Proto":6,"IP":"","Port":80,"HostIP":"","HostPort":8080,"HostPortEnd":8080},{"Proto":6,"Port":80,"HostIP":"::","HostPort":8080}],"com.docker.network.endpoint.exposedports":[{"Proto":6,"Port":80}]}}`, `{"Interface":null}`},
		{"/NetworkDriver.Join", `{` + ep + `,"SandboxKey":"/var/run/docker/netns/1"}`,
			`{"InterfaceName":{"SrcName":"tbcaaaaaaaa","DstPrefix":"eth"},"Gateway":"169.254.1.1","StaticRoutes":[{"Destination":"169.254.1.1/32","RouteType":1,"NextHop":""}]}`},
		{"/NetworkDriver.ProgramExternalConnectivity", `{` + ep + `,"Options":{"com.docker.network.portmap":[{"Proto":6,"Port":80,"HostPort":8080}]}}`, `{}`},
		{"/NetworkDriver.EndpointOperInfo", `{` + ep + `}`, `{"Value":{}}`},
		{"/NetworkDriver.DiscoverNew", `{"DiscoveryType":1,"DiscoveryData":{"Address":"1.2.3.4"}}`, `{}`},
		{"/NetworkDriver.RevokeExternalConnectivity", `{` + ep + `}`, `{}`},
		{"/NetworkDriver.Leave", `{` + ep + `}`, `{}`},
		{"/NetworkDriver.DeleteEndpoint", `{` + ep + `}`, `{}`},
		{"/NetworkDriver.DeleteEndpoint", `{` + ep + `}`, `{}`},
		{"/IpamDriver.ReleaseAddress", `{"PoolID":"tombolo4","Address":"100.64.7.2"}`, `{}`},
		{"/NetworkDriver.DeleteNetwork", `{"NetworkID":"net1"}`, `{}`},
		{"/IpamDriver.ReleasePool", `{"PoolID":"tombolo4"}`, `{}`},
	} {
		if code, got := post(t, c, tt.path, tt.body); code != 200 || got != tt.want {
			t.Errorf("%s %s\nwas answered with %d %s\n           want 200 %s", tt.path, tt.body, code, got, tt.want)
		}
	}
	if left := h.table.Snapshot(); len(left) != 0 {
		t.Errorf("after the last call the table still has %v", left)
	}
}

// docker run --network name=tombolo,driver-opt=com.docker.network.endpoint.ifname=front
func TestTheInterfaceGetsTheNameThatWasAskedFor(t *testing.T) {
	h := newHost(t, 0)
	c := h.start(t)
	for _, tt := range []struct{ path, body, want string }{
		{"/IpamDriver.RequestAddress", `{"PoolID":"tombolo4"}`, `{"Address":"100.64.7.2/32","Data":{}}`},
		{"/NetworkDriver.CreateEndpoint", `{"EndpointID":"` + epA + `","Interface":{"Address":"100.64.7.2/32"},"Options":{"com.docker.network.endpoint.ifname":"front"}}`, `{"Interface":null}`},
		{"/NetworkDriver.Join", `{"EndpointID":"` + epA + `","SandboxKey":"/var/run/docker/netns/1"}`,
			`{"InterfaceName":{"SrcName":"tbcaaaaaaaa","DstName":"front","DstPrefix":"eth"},"Gateway":"169.254.1.1","StaticRoutes":[{"Destination":"169.254.1.1/32","RouteType":1,"NextHop":""}]}`},
	} {
		if code, got := post(t, c, tt.path, tt.body); code != 200 || got != tt.want {
			t.Errorf("%s %s\nwas answered with %d %s\n           want 200 %s", tt.path, tt.body, code, got, tt.want)
		}
	}
}

// An older Engine would start the container with an interface of another name.
func TestInterfaceNamesAreRefusedOnOlderEngines(t *testing.T) {
	for version, works := range map[string]bool{
		"20.10.24+dfsg1": false, "28.5.1": false, "29.7.0": false, "29.8.0": true, "29.10.1": true, "30.0.0-rc.1": true, "": true, "dev": true,
	} {
		h := newHost(t, 0)
		h.Server = plugin.New(plugin.Config{
			Socket: h.socket, Pool4: pool4, Table: h.table, Log: slog.New(slog.DiscardHandler), EngineVersion: func() string { return version },
		})
		c := h.start(t)
		post(t, c, "/IpamDriver.RequestAddress", `{"PoolID":"tombolo4"}`)
		_, got := post(t, c, "/NetworkDriver.CreateEndpoint",
			`{"EndpointID":"`+epA+`","Interface":{"Address":"100.64.7.2/32"},"Options":{"com.docker.network.endpoint.ifname":"front"}}`)
		if works != (got == `{"Interface":null}`) || !works && !strings.Contains(got, "this host's Docker Engine is "+version) {
			t.Errorf("Engine %q: an endpoint with the interface front was answered with %s", version, got)
		}
	}
}

func TestBadCallsAreRefusedWithAReason(t *testing.T) {
	h := newHost(t, 0)
	c := h.start(t)
	if err := h.table.CreateNetwork("net1"); err != nil {
		t.Fatal(err)
	}
	before := h.table.Snapshot()
	for _, tt := range []struct{ name, path, body, want string }{
		{"IPv6 pool", "/IpamDriver.RequestPool", `{"Pool":"fd12::/48","V6":true}`, "make the network without --ipv6"},
		{"IPv6 network", "/NetworkDriver.CreateNetwork", `{"NetworkID":"net1","IPv4Data":[{"Pool":"0.0.0.0/0"}],"IPv6Data":[{"Pool":"fd12::/48"}]}`, "make the network without --ipv6"},
		{"an IPv6 subnet as IPv4", "/IpamDriver.RequestPool", `{"Pool":"::/0"}`, "is not the cluster's pool 100.64.0.0/10"},
		{"another subnet", "/IpamDriver.RequestPool", `{"Pool":"10.0.0.0/8"}`, "is not the cluster's pool 100.64.0.0/10"},
		{"an IP range", "/IpamDriver.RequestPool", `{"Pool":"100.64.0.0/10","SubPool":"100.64.1.0/24"}`, "an IP range cannot be chosen"},
		{"second network", "/NetworkDriver.CreateNetwork", `{"NetworkID":"net2","IPv4Data":[{"Pool":"0.0.0.0/0"}]}`, "already has a network"},
		{"Docker's own IPAM", "/NetworkDriver.CreateNetwork", `{"NetworkID":"net2","IPv4Data":[{"Pool":"172.18.0.0/16"}]}`, "--ipam-driver tombolo"},
		{"join of an unknown endpoint", "/NetworkDriver.Join", `{"EndpointID":"` + epA + `"}`, "unknown endpoint"},
		{"a path as an ID", "/NetworkDriver.Join", `{"EndpointID":"../../etc"}`, "is not an endpoint ID"},
		{"endpoint without an address", "/NetworkDriver.CreateEndpoint", `{"EndpointID":"` + epA + `"}`, "has no address"},
		{"port is taken", "/NetworkDriver.CreateEndpoint", `{"EndpointID":"` + epA + `","Interface":{"Address":"100.64.7.9/32"},"Options":{"com.docker.network.portmap":[{"Proto":6,"Port":80,"HostPort":22}]}}`,
			"port 22/tcp of this host is taken by sshd (pid 7)"},
		{"a path as the interface's name", "/NetworkDriver.CreateEndpoint", `{"EndpointID":"` + epA + `","Interface":{"Address":"100.64.7.9/32"},"Options":{"com.docker.network.endpoint.ifname":"a/b"}}`,
			`"a/b" cannot be the name of a container's interface`},
		{"the loopback interface's name", "/NetworkDriver.CreateEndpoint", `{"EndpointID":"` + epA + `","Interface":{"Address":"100.64.7.9/32"},"Options":{"com.docker.network.endpoint.ifname":"lo"}}`,
			`"lo" cannot be the name of a container's interface`},
		{"unknown pool", "/IpamDriver.RequestAddress", `{"PoolID":"x"}`, "unknown pool"},
		{"body is not JSON", "/NetworkDriver.CreateEndpoint", `{"EndpointID":`, "decode request"},
		{"body is not an object", "/NetworkDriver.CreateEndpoint", `[1,2]`, "decode request"},
		{"body is too long", "/NetworkDriver.CreateEndpoint", strings.Repeat(" ", 2<<20), "request body too large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, got := post(t, c, tt.path, tt.body)
			var answer struct{ Err, Error string }
			if err := json.Unmarshal([]byte(got), &answer); err != nil {
				t.Fatal(err)
			}
			if code != 200 || !strings.Contains(answer.Err, tt.want) || answer.Error != answer.Err {
				t.Errorf("the answer is %d %s, want 200 and an Err that says %q", code, got, tt.want)
			}
		})
	}
	if code, _ := post(t, c, "/NetworkDriver.Nonsense", "{}"); code != 404 {
		t.Errorf("an unknown method was answered with %d, want 404", code)
	}
	if diff := cmp.Diff(before, h.table.Snapshot()); diff != "" {
		t.Errorf("refused calls changed the table (-before +after):\n%s", diff)
	}
}

func TestGarbageOnTheSocketChangesNothing(t *testing.T) {
	h := newHost(t, 0)
	c := h.start(t)
	post(t, c, "/Plugin.Activate", "")
	for _, junk := range [][]byte{{0, 1, 2, 3}, []byte("POST / HTTP/9.9\r\n\r\n"), bytes.Repeat([]byte{0xff}, 1<<16), []byte("GET /NetworkDriver.Join HTTP/1.1\r\nHost: x\r\n\r\n")} {
		conn, err := net.Dial("unix", h.socket)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write(junk) // the server may close the connection early
		conn.Close()
	}
	if code, _ := post(t, c, "/Plugin.Activate", ""); code != 200 || len(h.table.Snapshot()) != 0 {
		t.Errorf("after the garbage a call was answered with %d, and the table has %v; want 200 and an empty table", code, h.table.Snapshot())
	}
}

func TestStuckCallIsAnsweredAtTheDeadline(t *testing.T) {
	h := newHost(t, 50*time.Millisecond)
	c := h.start(t)
	h.ifaces.Block = make(chan struct{})
	t.Cleanup(func() { close(h.ifaces.Block) })
	body := `{"EndpointID":"` + epA + `","Interface":{"Address":"100.64.7.9/32"}}`
	post(t, c, "/IpamDriver.RequestAddress", `{"PoolID":"tombolo4","Address":"100.64.7.9"}`)
	post(t, c, "/NetworkDriver.CreateEndpoint", body)
	if _, got := post(t, c, "/NetworkDriver.Join", body); !strings.Contains(got, "no answer within 50ms") {
		t.Errorf("a Join that is stuck was answered with %s, want an error that names the deadline", got)
	}
	if _, got := post(t, c, "/NetworkDriver.Leave", body); !strings.Contains(got, "is busy") && !strings.Contains(got, "no answer") {
		t.Errorf("Leave during a stuck Join was answered with %s, want an error", got)
	}
	if _, got := post(t, c, "/Plugin.Activate", ""); !strings.Contains(got, "NetworkDriver") {
		t.Errorf("a call during a stuck Join was answered with %s, want the drivers", got)
	}
}

func TestSocketReplacesAnOldOneAndIsRemoved(t *testing.T) {
	h := newHost(t, 0)
	if err := os.MkdirAll(filepath.Dir(h.socket), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.socket, nil, 0o600); err != nil { // left by a linker that was killed
		t.Fatal(err)
	}
	t.Run("serve", func(t *testing.T) {
		if code, _ := post(t, h.start(t), "/Plugin.Activate", ""); code != 200 {
			t.Errorf("the first call was answered with %d, want 200", code)
		}
	})
	if _, err := os.Stat(h.socket); !os.IsNotExist(err) {
		t.Errorf("the socket still exists after Run: %v", err)
	}
}

// slowTable answers Reserve after release is closed.
type slowTable struct {
	plugin.Table
	entered, release chan struct{}
}

func (a slowTable) Reserve(ctx context.Context, _ netip.Addr) (netip.Addr, error) {
	close(a.entered)
	<-a.release
	return netip.MustParseAddr("100.64.7.2"), ctx.Err()
}

func TestCallUnderWayIsAnsweredAfterTheContextEnds(t *testing.T) {
	table := slowTable{entered: make(chan struct{}), release: make(chan struct{})}
	socket := filepath.Join(t.TempDir(), "tombolo.sock")
	server := plugin.New(plugin.Config{Socket: socket, Table: table, Log: log})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	go func() {
		<-table.entered
		cancel()
		close(table.release)
	}()
	c := client(socket)
	defer c.CloseIdleConnections()
	if _, got := post(t, c, "/IpamDriver.RequestAddress", `{"PoolID":"tombolo4"}`); got != `{"Address":"100.64.7.2/32","Data":{}}` {
		t.Errorf("the call was answered with %s, want an address: Run must let it finish", got)
	}
	if err := <-done; err != nil {
		t.Errorf("Run returned %v after its context had ended, want nil", err)
	}
}

func FuzzServer(f *testing.F) {
	f.Add("/IpamDriver.RequestPool", []byte(`{"Pool":"100.64.0.0/10","V6":false}`))
	f.Add("/IpamDriver.RequestAddress", []byte(`{"PoolID":"tombolo4","Address":"100.64.7.9"}`))
	f.Add("/NetworkDriver.CreateEndpoint", []byte(`{"EndpointID":"`+epA+`","Interface":{"Address":"100.64.7.2/32"},"Options":{"com.docker.network.portmap":[{"Proto":6,"Port":80,"HostPort":8080}]}}`))
	f.Add("/NetworkDriver.Join", []byte(`{"EndpointID":"`+epA+`"}`))
	f.Add("/NetworkDriver.CreateNetwork", []byte(`{"NetworkID":"n","IPv4Data":[{"Pool":"0.0.0.0/0"}]}`))
	h := newHost(f, 0)
	f.Fuzz(func(t *testing.T, path string, body []byte) {
		if !strings.HasPrefix(path, "/") {
			return
		}
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(body))
		req.URL.Path = path
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code == http.StatusOK && !json.Valid(w.Body.Bytes()) {
			t.Errorf("the answer is not JSON: %q", w.Body)
		}
	})
}

package explain

import (
	"net/netip"
	"strings"
	"testing"

	"tombolo/linker/inspect"
	"tombolo/linker/problem"
	"tombolo/linker/reach"
	"tombolo/linker/record"
)

var (
	webAddr = netip.MustParseAddr("100.64.1.9")
	dbAddr  = netip.MustParseAddr("100.64.2.7")
	under2  = netip.MustParseAddr("198.18.0.12")
)

// snapshot has web on h1 and db on h2, which share a network.
func snapshot() *record.Snapshot {
	net := map[string][]string{"shop_default": nil}
	s := &record.Snapshot{
		Hosts: map[string]*record.Host{
			"h1": {Name: "h1", Underlay: netip.MustParseAddr("198.18.0.11")}, "h2": {Name: "h2", Underlay: under2}, "h3": {Name: "h3"},
		},
		Apps: map[string]*record.App{"shop": {Name: "shop", Services: map[string]record.Service{
			"web": {Networks: net, Replicas: 1}, "db": {Networks: net, Replicas: 1, Ports: []record.Port{{Number: 5432, Proto: "tcp"}}},
		}}},
		Endpoints: map[string]*record.Endpoint{}, Suspended: map[string]bool{},
	}
	for _, ep := range []*record.Endpoint{
		{ID: "w", Host: "h1", App: "shop", Service: "web", Slot: 1, Addr4: webAddr, ContainerName: "c-web"},
		{ID: "d", Host: "h2", App: "shop", Service: "db", Slot: 1, Addr4: dbAddr, ContainerName: "c-db"},
	} {
		ep.Running, ep.Health, ep.Networks, ep.Container = true, record.HealthHealthy, net, strings.Repeat(ep.ID, 12)
		s.Endpoints[ep.Key()] = ep
	}
	return s
}

// working are the facts of a way that works: web.1 of h1 to db:5432 on h2.
func working() *Facts {
	f := &Facts{
		Snapshot: snapshot(), Port: record.Port{Number: 5432, Proto: "tcp"}, Name: "db.shop.tombolo.internal",
		Resolved: &Resolution{Exists: true, Service: true, Addresses: []netip.Addr{netip.MustParseAddr("100.127.0.2")}},
		Hosts:    map[string]Host{"h1": {}, "h2": {}},
		Ways: map[string]inspect.Result{"h2/d": {
			Answer:     &inspect.Answer{Rcode: "NOERROR"},
			Route:      &inspect.Route{Device: "tombolo0", Gateway: netip.MustParseAddr("100.64.2.1"), Neighbour: "02:42:64:40:02:01", Peer: under2},
			Connection: &inspect.Connection{Outcome: inspect.Connected},
		}},
		Ends: map[string]inspect.Result{"h2/d": {Sockets: &inspect.Sockets{Listening: []inspect.Socket{{Proto: "tcp", Addr: netip.MustParseAddrPort("0.0.0.0:5432")}}}}},
	}
	return f
}

// parties finds the parties once the snapshot has its final form.
func (f *Facts) parties(t *testing.T, from, to string) {
	t.Helper()
	var err error
	if f.From, err = Find(f.Snapshot, from, "", "tombolo.internal"); err != nil {
		t.Fatal(err)
	}
	if f.To, err = Find(f.Snapshot, to, "shop", "tombolo.internal"); err != nil {
		t.Fatal(err)
	}
	f.Relation = reach.Of(f.Snapshot)
}

func (f *Facts) way(change func(*inspect.Result)) {
	r := f.Ways["h2/d"]
	change(&r)
	f.Ways["h2/d"] = r
}

func TestAWayThatWorks(t *testing.T) {
	f := working()
	f.parties(t, "web.1", "db")
	got := Walk(*f)
	var steps []string
	for _, s := range got.Steps {
		steps = append(steps, s.Name)
		if s.State != OK {
			t.Errorf("the step %+v is not ok", s)
		}
	}
	if want := "asker name target policy host host route listener connection"; strings.Join(steps, " ") != want {
		t.Errorf("the steps are %v, want %s", steps, want)
	}
}

// Each fault is named by the first step that fails.
func TestFaultsAreNamed(t *testing.T) {
	noListener := func(f *Facts) {
		f.Ends["h2/d"] = inspect.Result{Sockets: &inspect.Sockets{Listening: []inspect.Socket{}}}
	}
	outage := func(host, subject string, k problem.Kind, reason string) func(*Facts) {
		return func(f *Facts) {
			f.Hosts[host] = Host{Problems: []problem.Problem{problem.New(k, problem.Found{Subject: subject, Reason: reason})}}
		}
	}
	cases := []struct {
		fault    string
		from, to string
		change   func(*Facts)
		step     string
		found    string
		remedy   string
	}{
		{"the asker has ended", "web.1", "db", func(f *Facts) { delete(f.Snapshot.Endpoints, "h1/w") }, "asker", "no host announces a container of web.1", "tombolo ps"},
		{"the asker is paused", "web.1", "db", func(f *Facts) { f.Snapshot.Endpoints["h1/w"].Running = false }, "asker", "has ended, or is paused", "docker unpause c-web"},
		{"not linked", "web.1", "db", func(f *Facts) {
			f.Resolved.Exists = false
			db := f.Snapshot.Apps["shop"].Services["db"]
			db.Networks = map[string][]string{"shop_back": nil}
			f.Snapshot.Apps["shop"].Services["db"] = db
		}, "name", "because shop/web.1 (on shop_default) and shop/db.1 (on shop_back) share no network", "add links: [db]"},
		{"not linked, asked by address", "web.1", "100.64.2.7", func(f *Facts) {
			f.Name = ""
			db := f.Snapshot.Apps["shop"].Services["db"]
			db.Networks = map[string][]string{"shop_back": nil}
			f.Snapshot.Apps["shop"].Services["db"] = db
		}, "policy", "share no network", "add links: [db]"},
		{"the name is misspelt in the view", "web.1", "db", func(f *Facts) { f.Resolved.Exists = false }, "name", "NXDOMAIN", "tombolo resolve"},
		{"a firewall drops DNS", "web.1", "db", func(f *Facts) { f.way(func(r *inspect.Result) { r.Answer = &inspect.Answer{Error: "i/o timeout"} }) },
			"name", "gets no answer to DNS queries: i/o timeout", "port 53"},
		{"no instance", "web.1", "db", func(f *Facts) { delete(f.Snapshot.Endpoints, "h2/d") }, "target", "no instance of db runs", "tombolo up"},
		{"the container is unhealthy", "web.1", "db", func(f *Facts) { f.Snapshot.Endpoints["h2/d"].Health = record.HealthUnhealthy }, "target", "shop/db.1 is unhealthy", "docker inspect"},
		{"the container is starting", "web.1", "db", func(f *Facts) { f.Snapshot.Endpoints["h2/d"].Health = record.HealthStarting }, "target", "is still starting", "health check"},
		{"the container is paused", "web.1", "db", func(f *Facts) { f.Snapshot.Endpoints["h2/d"].Running = false }, "target", "shop/db.1 does not run", "docker unpause c-db"},
		{"the slot is drained", "web.1", "db", func(f *Facts) {
			db := f.Snapshot.Apps["shop"].Services["db"]
			db.Drained = []int{1}
			f.Snapshot.Apps["shop"].Services["db"] = db
		}, "target", "being replaced or drained", "wait"},
		{"the peer's linker is stopped", "web.1", "db", func(f *Facts) { f.Snapshot.Suspended["h2"] = true }, "target", "the linker of h2 does not answer", "tombolo doctor"},
		{"UDP 8480 is blocked", "web.1", "db", outage("h1", "h2", problem.PathBlocked, "UDP port 8480 is blocked from h1 to h2"),
			"tunnel", "UDP port 8480 is blocked from h1 to h2", "open this UDP port"},
		{"UDP 8480 is blocked, as the receiver sees it", "web.1", "db", outage("h2", "h1", problem.PathBlocked, "UDP port 8480 is blocked from h1 to h2"),
			"tunnel", "UDP port 8480 is blocked from h1 to h2", "open this UDP port"},
		{"FORWARD drops", "web.1", "db", func(f *Facts) {
			outage("h2", "FORWARD", problem.FirewallDrops, "iptables filter FORWARD drops packets")(f)
			f.way(func(r *inspect.Result) { r.Connection = &inspect.Connection{Outcome: inspect.Timeout} })
		}, "connection", "FORWARD drops", "0x2000"},
		{"the kernel is changed again and again", "web.1", "db", outage("h2", "", problem.OverlayIncomplete, "no route"), "host", "no route", "program"},
		{"the pool overlaps", "web.1", "db", outage("h1", "", problem.PoolRoutedElsewhere, "100.64.0.0/10 overlaps 100.100.0.0/16"), "host", "overlaps", "--pool"},
		{"Docker is stopped", "web.1", "db", outage("h2", "", problem.DockerUnreachable, "not connected to Docker"), "host", "not connected to Docker", "start Docker"},
		{"ip_forward is 0", "web.1", "db", func(f *Facts) {
			f.way(func(r *inspect.Result) { r.Route = &inspect.Route{Error: "no route to host"} })
		}, "route", "the kernel of h1 forwards no packet from web.1 to 100.64.2.7: no route to host", "tombolo doctor --host h1"},
		{"a VPN took the route", "web.1", "db", func(f *Facts) {
			f.way(func(r *inspect.Result) { r.Route = &inspect.Route{Device: "tailscale0"} })
		}, "route", "100.64.2.7 leaves h1 by tailscale0, not by the tunnel to h2", "--pool"},
		{"the neighbour is gone", "web.1", "db", func(f *Facts) { f.way(func(r *inspect.Result) { r.Route.Neighbour = "" }) }, "neighbour", "no MAC address", "within 2 s"},
		{"the forwarding entry is gone", "web.1", "db", func(f *Facts) { f.way(func(r *inspect.Result) { r.Route.Peer = netip.Addr{} }) },
			"forwarding entry", "to nobody, want h2 at 198.18.0.12", "within 2 s"},
		{"the port does not listen", "web.1", "db", noListener, "listener", "nothing in shop/db.1 listens on port 5432/tcp; it listens on no port", "tombolo logs db"},
		{"the program listens on 127.0.0.1", "web.1", "db", func(f *Facts) {
			f.Ends["h2/d"].Sockets.Listening[0].Addr = netip.MustParseAddrPort("127.0.0.1:5432")
		}, "listener", "listens on 127.0.0.1:5432/tcp only", "0.0.0.0"},
		{"packets are lost", "web.1", "db", func(f *Facts) {
			f.way(func(r *inspect.Result) {
				r.Connection = &inspect.Connection{Outcome: inspect.Timeout, Error: "i/o timeout"}
			})
		}, "connection", "nothing answered web.1 at 100.64.2.7:5432 within 2 s", "8480"},
		{"the policy in the kernel is old", "web.1", "db", func(f *Facts) {
			f.way(func(r *inspect.Result) {
				r.Connection = &inspect.Connection{Outcome: inspect.Refused, Error: "connection refused"}
			})
		}, "connection", "was refused", "tombolo linker status"},
		{"an address of nobody", "web.1", "100.64.2.99", nil, "target", "no container of the overlay has the address 100.64.2.99", "use a name"},
		{"an internal container goes outside", "web.1", "outside", func(f *Facts) { f.Snapshot.Endpoints["h1/w"].Internal = true }, "policy", "all of its networks are internal", "without internal: true"},
		{"the port is not published", "outside", "db", nil, "published port", "db publishes no port 5432/tcp", "ports:"},
		{"the port is published on 127.0.0.1", "outside", "db", func(f *Facts) {
			f.Snapshot.Endpoints["h2/d"].Published = []record.PublishedPort{{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: 5432, Port: 5432, Proto: "tcp"}}
		}, "published port", "is published at 127.0.0.1:5432 of h2 only", "127.0.0.1"},
	}
	for _, c := range cases {
		t.Run(c.fault, func(t *testing.T) {
			f := working()
			if c.change != nil {
				c.change(f)
			}
			f.parties(t, c.from, c.to)
			got := Walk(*f)
			failure := got.Failure()
			if failure == nil || failure.Name != c.step || !strings.Contains(failure.Found, c.found) || !strings.Contains(failure.Remedy, c.remedy) {
				t.Errorf("the failure is %+v, want the step %s, %q and the remedy %q", failure, c.step, c.found, c.remedy)
			}
		})
	}
}

func TestWhatIsNoFault(t *testing.T) {
	cases := []struct {
		name   string
		change func(*Facts)
	}{
		{"an outage that concerns a third host", func(f *Facts) {
			f.Hosts["h1"] = Host{Problems: []problem.Problem{problem.New(problem.OverlayIncomplete, problem.Found{Subject: "h3", Reason: "blocked"})}}
		}},
		{"a degraded host", func(f *Facts) {
			f.Hosts["h1"] = Host{Problems: []problem.Problem{problem.New(problem.PortConflict, problem.Found{Reason: "taken"})}}
		}},
		{"a second, unhealthy instance", func(f *Facts) {
			sick := *f.Snapshot.Endpoints["h2/d"]
			sick.ID, sick.Slot, sick.Health = "d2", 2, record.HealthUnhealthy
			f.Snapshot.Endpoints[sick.Key()] = &sick
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := working()
			c.change(f)
			f.parties(t, "web.1", "db")
			if failure := Walk(*f).Failure(); failure != nil {
				t.Errorf("the failure is %+v, want none", failure)
			}
		})
	}
}

func TestWhatCannotBeAskedIsUnknown(t *testing.T) {
	f := working()
	f.Hosts = map[string]Host{"h1": {}, "h2": {Error: "connection refused"}}
	f.Ends = nil
	f.parties(t, "web.1", "db")
	got := Walk(*f)
	var unknown []string
	for _, s := range got.Steps {
		if s.State == Unknown {
			unknown = append(unknown, s.Name+" "+s.Host+": "+s.Found)
		}
	}
	if got.Failure() != nil || len(unknown) != 2 || !strings.Contains(unknown[0], "host h2: the linker of h2 cannot be asked: connection refused") || !strings.HasPrefix(unknown[1], "listener h2") {
		t.Errorf("the unknown steps are %q and the failure is %v, want the host h2 and its listener, and no failure", unknown, got.Failure())
	}
}

func TestOutsideReachesAPublishedPort(t *testing.T) {
	f := working()
	f.Port.Number = 8080
	f.Snapshot.Endpoints["h2/d"].Published = []record.PublishedPort{{HostPort: 8080, Port: 5432, Proto: "tcp"}}
	f.parties(t, "outside", "db")
	got := Walk(*f)
	if got.Failure() != nil || got.Steps[len(got.Steps)-1].Name != "listener" {
		t.Errorf("the way is %+v, want it to end at the listener of port 5432", got.Steps)
	}
}

func TestFindKnowsHowPeopleCallThings(t *testing.T) {
	s := snapshot()
	s.Apps["pay"] = &record.App{Name: "pay", Services: map[string]record.Service{"web": {}}}
	cases := []struct {
		text, near string
		key        string // of the endpoint; "": none
		err        string
	}{
		{"db", "", "h2/d", ""}, {"shop/db", "", "h2/d", ""}, {"db.shop", "", "h2/d", ""}, {"db.shop.tombolo.internal", "", "h2/d", ""}, {"tasks.db", "", "h2/d", ""},
		{"db.1", "", "h2/d", ""}, {"1.db", "", "h2/d", ""}, {"db-1", "", "h2/d", ""}, {"shop/db.1", "", "h2/d", ""}, {"shop/db/1", "", "h2/d", ""},
		{"1.db.shop", "", "h2/d", ""}, {"shop-db-1", "", "h2/d", ""}, {"shop_db_1", "", "h2/d", ""}, {"DB.1", "", "h2/d", ""},
		{"100.64.2.7", "", "h2/d", ""}, {"c-db", "", "h2/d", ""}, {"h2/c-db", "", "h2/d", ""}, {"dddddd", "", "h2/d", ""},
		{"db.2", "", "", ""}, {"100.64.2.8", "", "", ""}, {"outside", "", "", ""},
		{"web", "shop", "h1/w", ""}, {"web", "", "", `"web" may be any of pay/web, shop/web`},
		{"nobody", "", "", `"nobody" names no container, instance or service`},
	}
	for _, c := range cases {
		p, err := Find(s, c.text, c.near, "tombolo.internal")
		if p.Key() != c.key && err == nil || c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("Find(%q, near %q) = %+v, %v; want the endpoint %q and the error %q", c.text, c.near, p, err, c.key, c.err)
		}
	}
}

func TestParseTarget(t *testing.T) {
	cases := []struct {
		text, name string
		port       record.Port
		err        string
	}{
		{"db", "db", record.Port{Proto: "tcp"}, ""},
		{"db:5432", "db", record.Port{Number: 5432, Proto: "tcp"}, ""},
		{"db:53/udp", "db", record.Port{Number: 53, Proto: "udp"}, ""},
		{"fd00::1", "fd00::1", record.Port{Proto: "tcp"}, ""},
		{"[fd00::1]:80", "fd00::1", record.Port{Number: 80, Proto: "tcp"}, ""},
		{"db:http", "", record.Port{}, `"http" is not a port`},
		{"db:0", "", record.Port{}, `"0" is not a port`},
		{"db:80/icmp", "", record.Port{}, `"icmp" is neither tcp nor udp`},
	}
	for _, c := range cases {
		name, port, err := ParseTarget(c.text)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("ParseTarget(%q) = %v, want an error that says %s", c.text, err, c.err)
			}
			continue
		}
		if err != nil || name != c.name || port != c.port {
			t.Errorf("ParseTarget(%q) = %q, %+v, %v; want %q, %+v", c.text, name, port, err, c.name, c.port)
		}
	}
}

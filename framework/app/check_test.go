package app

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// fine is an App that passes.
func fine() *App {
	return &App{
		Name: "shop",
		Services: map[string]Service{
			"web": {
				Name: "web", Image: "web", Replicas: 2,
				Networks: map[string][]string{"shop_default": {"www"}},
				Links:    []Link{{Service: "db", Alias: "sql"}, {App: "stock", Service: "db", Alias: "stock"}},
				Ports:    []Port{{Host: 80, Target: 80, Proto: "tcp"}},
				Mounts:   []Mount{{Type: MountVolume, Source: "shop_data", Target: "/data"}},
				Restart:  Restart{Condition: RestartAny},
				Docker:   []Flag{{"user", "1000"}, {"init", "true"}},
			},
			"db": {Name: "db", Image: "db", Replicas: 1, Restart: Restart{Condition: RestartAny}},
		},
		Volumes: map[string]Volume{"data": {Name: "shop_data"}},
	}
}

// crowd is n services.
func crowd(n int) map[string]Service {
	services := map[string]Service{}
	for i := range n {
		name := fmt.Sprintf("s%d", i)
		services[name] = Service{Name: name, Image: "x", Restart: Restart{Condition: RestartAny}}
	}
	return services
}

func TestValidateAccepts(t *testing.T) {
	if err := fine().Validate(); err != nil {
		t.Error(err)
	}
}

// TestValidateRefuses is what may come over the API: each change makes one App
// that must not reach Docker's command line.
func TestValidateRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(a *App, web *Service)
		want   string
	}{
		"no services":   {func(a *App, _ *Service) { a.Services = nil }, "services: there is no service to run"},
		"many services": {func(a *App, _ *Service) { a.Services = crowd(MaxServices) }, "services: are 501, more than 500"},
		"no image":      {func(_ *App, w *Service) { w.Image = "" }, "services.web: has neither an image nor a build"},
		"many ports":    {func(_ *App, w *Service) { w.Ports = make([]Port, MaxItems+1) }, "services.web.ports: are 1025, more than 1024"},
		"many exposed":  {func(_ *App, w *Service) { w.Expose = make([]Expose, MaxItems+1) }, "services.web.expose: are 1025, more than 1024"},
		"many links":    {func(_ *App, w *Service) { w.Links = make([]Link, MaxItems+1) }, "services.web.links: are 1025, more than 1024"},
		"many aliases":  {func(_ *App, w *Service) { w.Networks["n"] = make([]string, MaxItems+1) }, "services.web.networks.n.aliases: are 1025, more than 1024"},
		"long variable": {func(_ *App, w *Service) { w.Environment = map[string]string{"A": strings.Repeat("a", MaxString-1)} }, "services.web.environment.A: makes a word of 131072 bytes"},
		"long label":    {func(_ *App, w *Service) { w.Labels = map[string]string{"a": strings.Repeat("a", MaxString-9)} }, "services.web.labels.a: makes a word of 131072 bytes"},
		"long names": {func(_ *App, w *Service) {
			for i := range 3 {
				w.Networks[fmt.Sprint("n", i)] = slices.Repeat([]string{strings.Repeat("a", 63)}, 1000)
			}
		}, "services.web.networks: makes a word of"},
		"long health check": {func(_ *App, w *Service) { w.Health = &Health{Test: []string{"CMD", strings.Repeat("'", 50_000)}} }, "Docker flag health-cmd has 2000"},
		"app name":          {func(a *App, _ *Service) { a.Name = "../x" }, `name: app name "../x" must be made of`},
		"service name":      {func(a *App, w *Service) { a.Services["-x"] = Service{Name: "-x", Image: "i", Restart: w.Restart} }, "services.-x: service name must begin"},
		"other name":        {func(_ *App, w *Service) { w.Name = "db" }, `services.web: is named "db"`},
		"image is a flag":   {func(_ *App, w *Service) { w.Image = "--privileged" }, `services.web.image: "--privileged": invalid`},
		"unknown flag":      {func(_ *App, w *Service) { w.Docker = []Flag{{"volume", "/:/host"}} }, `Docker flag "volume" is not one`},
		"flag in the name":  {func(_ *App, w *Service) { w.Docker = []Flag{{"user=0 --privileged", "x"}} }, `Docker flag "user=0 --privileged" is not one`},
		"flag's number":     {func(_ *App, w *Service) { w.Docker = []Flag{{"shm-size", "lots"}} }, `Docker flag shm-size: "lots" is no number`},
		"flag's truth":      {func(_ *App, w *Service) { w.Docker = []Flag{{"init", "maybe"}} }, `"maybe" is neither true nor false`},
		"flag's pair":       {func(_ *App, w *Service) { w.Docker = []Flag{{"sysctl", "x"}} }, `"x" is not of the form name=value`},
		"flag's word":       {func(_ *App, w *Service) { w.Docker = []Flag{{"pid", "container:x"}} }, `"container:x" is none of host`},
		"empty flag":        {func(_ *App, w *Service) { w.Docker = []Flag{{"user", ""}} }, `"" is empty`},
		"network mode":      {func(_ *App, w *Service) { w.NetworkMode = "macvlan" }, `network_mode: "macvlan" is not supported`},
		"network name":      {func(_ *App, w *Service) { w.Networks["a,b"] = nil }, `"a,b" is no network name`},
		"alias":             {func(_ *App, w *Service) { w.Networks["n"] = []string{"a b"} }, `alias "a b" must be made of`},
		"NUL":               {func(_ *App, w *Service) { w.Command = []string{"a\x00b"} }, "services.web.command: a text of 3 bytes"},
		"not UTF-8":         {func(_ *App, w *Service) { w.Environment = map[string]string{"A": "\xff"} }, "services.web.environment.A: a text of 1 bytes"},
		"long text":         {func(_ *App, w *Service) { w.Hostname = strings.Repeat("a", MaxString+1) }, "services.web.hostname: a text of 131072 bytes"},
		"huge":              {func(_ *App, w *Service) { w.Command = strings.SplitAfter(strings.Repeat("a ", 300_000), " ") }, "the app has 1"},
		"variable name":     {func(_ *App, w *Service) { w.Environment = map[string]string{"A=B": ""} }, `environment: "A=B" is no name`},
		"our label":         {func(_ *App, w *Service) { w.Labels = map[string]string{"tombolo.app": "other"} }, "labels that begin with tombolo."},
		"mount type":        {func(_ *App, w *Service) { w.Mounts[0].Type = "npipe" }, `type "npipe" is not supported`},
		"mount option":      {func(_ *App, w *Service) { w.Mounts[0].Options = map[string]string{"volume-opt": "x"} }, `option "volume-opt" is not supported`},
		"mount of resolv":   {func(_ *App, w *Service) { w.Mounts[0].Target = "/etc/resolv.conf" }, "is Tombolo's"},
		"mount of the root": {func(_ *App, w *Service) { w.Mounts[0].Target = "/" }, `target "/" is no path`},
		"relative bind":     {func(_ *App, w *Service) { w.Mounts[0].Type = MountBind }, `"shop_data" is no path on a host`},
		"colon in a bind": {func(_ *App, w *Service) {
			w.Mounts[0] = Mount{Type: MountBind, Source: "/a:/b", Target: "/c", Create: true}
		}, `"/a:/b" is no path on a host`},
		"source of a tmpfs": {func(_ *App, w *Service) { w.Mounts[0].Type = MountTmpfs }, "a tmpfs has no source"},
		"selinux":           {func(_ *App, w *Service) { w.Mounts[0].SELinux = "q" }, `selinux "q"`},
		"recursive and created": {func(_ *App, w *Service) {
			w.Mounts[0] = Mount{Type: MountBind, Source: "/a", Target: "/b", Create: true, Options: map[string]string{"bind-recursive": "disabled"}}
		}, "option bind-recursive excludes"},
		"port name": {func(_ *App, w *Service) { w.Expose = []Expose{{Number: 1, Proto: "tcp", Name: "A B"}} }, `port name "A B" is no service name`},
		"nobody sees its health": {func(a *App, w *Service) {
			w.DependsOn = map[string]Dependency{"db": {Condition: Healthy}}
			db := a.Services["db"]
			db.NetworkMode = "none"
			a.Services["db"] = db
		}, "services.web.depends_on.db: db is not on the overlay"},
		"same target":        {func(_ *App, w *Service) { w.Mounts = append(w.Mounts, w.Mounts[0]) }, "two volumes go to /data"},
		"volume name":        {func(a *App, _ *Service) { a.Volumes["data"] = Volume{Name: "/etc"} }, `volumes.data.name: "/etc" is no volume name`},
		"volume option":      {func(a *App, _ *Service) { a.Volumes["data"] = Volume{Name: "d", Options: map[string]string{"a=b": ""}} }, `"a=b" is no name`},
		"protocol":           {func(_ *App, w *Service) { w.Ports[0].Proto = "tcp,readonly" }, "is neither tcp, udp nor sctp"},
		"port range":         {func(_ *App, w *Service) { w.Ports[0].Last = 79 }, "80-79 is no range"},
		"port zero":          {func(_ *App, w *Service) { w.Ports[0].Target = 0 }, "port 0 is no port"},
		"host address":       {func(_ *App, w *Service) { w.Ports[0].HostIP = "x" }, `"x" is no address of a host`},
		"replicas":           {func(_ *App, w *Service) { w.Replicas = -1 }, "-1 is not between 0 and 10000"},
		"restart":            {func(_ *App, w *Service) { w.Restart.Condition = "always" }, `condition "always" is not supported`},
		"restart attempts":   {func(_ *App, w *Service) { w.Restart.MaxAttempts = -1 }, "holds a negative number"},
		"signal":             {func(_ *App, w *Service) { w.StopSignal = "TERM --rm" }, "is no signal"},
		"grace":              {func(_ *App, w *Service) { w.StopGrace = -1 }, "stop_grace_period: is negative"},
		"pull policy":        {func(_ *App, w *Service) { w.PullPolicy = "daily" }, `"daily" is not supported`},
		"constraint":         {func(_ *App, w *Service) { w.Constraints = []Constraint{{"a b", "==", "x"}} }, "is no constraint"},
		"health":             {func(_ *App, w *Service) { w.Health = &Health{Test: []string{"RUN"}} }, "must begin with CMD"},
		"health retries":     {func(_ *App, w *Service) { w.Health = &Health{Retries: -1} }, "retries: is negative"},
		"health interval":    {func(_ *App, w *Service) { w.Health = &Health{Interval: -1} }, "is less than Docker's least"},
		"resources":          {func(_ *App, w *Service) { w.Resources.CPUs = -1 }, "holds a negative number"},
		"dependency":         {func(_ *App, w *Service) { w.DependsOn = map[string]Dependency{"ghost": {Condition: Started}} }, "there is no service ghost"},
		"condition":          {func(_ *App, w *Service) { w.DependsOn = map[string]Dependency{"db": {Condition: "x"}} }, `condition "x" is not supported`},
		"waits for itself":   {func(_ *App, w *Service) { w.DependsOn = map[string]Dependency{"web": {Condition: Started}} }, "web -> web"},
		"link":               {func(_ *App, w *Service) { w.Links[0].Service = "ghost" }, "links.ghost: there is no service ghost"},
		"link alias":         {func(_ *App, w *Service) { w.Links[0].Alias = "a..b" }, `alias "a..b" is empty`},
		"link to an app":     {func(_ *App, w *Service) { w.Links[1].App = "a b" }, `"a b" must be made of`},
		"container name":     {func(_ *App, w *Service) { w.ContainerName, w.Replicas = "a;b", 1 }, `container_name: "a;b"`},
		"one container name": {func(_ *App, w *Service) { w.ContainerName = "a" }, "there are several instances"},
		"export":             {func(_ *App, w *Service) { w.Export = &Export{To: []string{"*"}} }, `app name "*" must be made of`},
	} {
		t.Run(name, func(t *testing.T) {
			a := fine()
			w := a.Services["web"]
			c.change(a, &w)
			if a.Services != nil {
				a.Services["web"] = w
			}
			err := a.Validate()
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v\nwant %s", err, c.want)
			}
		})
	}
}

// An App of JSON is checked without a panic whatever it says.
func FuzzValidate(f *testing.F) {
	data, err := json.Marshal(fine())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"name":"a","services":{"a":{"name":"a","image":"a","replicas":1,"healthcheck":{"test":[""]}}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var a App
		if json.Unmarshal(data, &a) != nil || a.Validate() != nil {
			return
		}
		for _, s := range a.Services {
			for _, flag := range s.DockerFlags() {
				if flag.Name == "" || strings.ContainsAny(flag.Name, "= \x00") || strings.ContainsRune(flag.Value, 0) {
					t.Errorf("flag %q", flag)
				}
			}
			a.MountFlags(s.Name)
			s.Args()
		}
	})
}

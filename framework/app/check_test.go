package app

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// validApp returns an App that passes Validate.
func validApp() *App {
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

// manyServices returns n services.
func manyServices(n int) map[string]Service {
	services := map[string]Service{}
	for i := range n {
		name := fmt.Sprintf("s%d", i)
		services[name] = Service{Name: name, Image: "x", Restart: Restart{Condition: RestartAny}}
	}
	return services
}

func TestValidateAcceptsAValidApp(t *testing.T) {
	if err := validApp().Validate(); err != nil {
		t.Errorf("Validate refuses a valid app: %v", err)
	}
}

// TestValidateRefuses makes Apps that somebody may send over the API. None of them may
// reach Docker's command line.
func TestValidateRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(a *App, web *Service)
		want   string
	}{
		"an app without services":                             {func(a *App, _ *Service) { a.Services = nil }, "services: there is no service to run"},
		"more services than one app may have":                 {func(a *App, _ *Service) { a.Services = manyServices(MaxServices) }, "services: there are 501 services, more than 500"},
		"a service without an image":                          {func(_ *App, w *Service) { w.Image = "" }, "services.web: has neither an image nor a build"},
		"too many published ports":                            {func(_ *App, w *Service) { w.Ports = make([]Port, MaxItems+1) }, "services.web.ports: there are 1025, more than 1024"},
		"too many exposed ports":                              {func(_ *App, w *Service) { w.Expose = make([]Expose, MaxItems+1) }, "services.web.expose: there are 1025, more than 1024"},
		"too many links":                                      {func(_ *App, w *Service) { w.Links = make([]Link, MaxItems+1) }, "services.web.links: there are 1025, more than 1024"},
		"too many aliases on a network":                       {func(_ *App, w *Service) { w.Networks["n"] = make([]string, MaxItems+1) }, "services.web.networks.n.aliases: there are 1025, more than 1024"},
		"an environment variable too long for a command line": {func(_ *App, w *Service) { w.Environment = map[string]string{"A": strings.Repeat("a", MaxString-1)} }, "services.web.environment.A: makes a word of 131072 bytes"},
		"a label too long for a command line":                 {func(_ *App, w *Service) { w.Labels = map[string]string{"a": strings.Repeat("a", MaxString-9)} }, "services.web.labels.a: makes a word of 131072 bytes"},
		"network names that make too long a label": {func(_ *App, w *Service) {
			for i := range 3 {
				w.Networks[fmt.Sprint("n", i)] = slices.Repeat([]string{strings.Repeat("a", 63)}, 1000)
			}
		}, "services.web.networks: makes a word of"},
		"a health check that quoting makes too long":  {func(_ *App, w *Service) { w.Health = &Health{Test: []string{"CMD", strings.Repeat("'", 50_000)}} }, "Docker flag health-cmd has 2000"},
		"an app name that is a path":                  {func(a *App, _ *Service) { a.Name = "../x" }, `name: app name "../x" must be made of`},
		"a service name that looks like a flag":       {func(a *App, w *Service) { a.Services["-x"] = Service{Name: "-x", Image: "i", Restart: w.Restart} }, `services.-x: service name "-x" must begin`},
		"a service under the key of another":          {func(_ *App, w *Service) { w.Name = "db" }, `services.web: the service's name is "db"`},
		"an image that looks like a flag":             {func(_ *App, w *Service) { w.Image = "--privileged" }, `services.web.image: "--privileged": invalid`},
		"a Docker flag that only the framework sets":  {func(_ *App, w *Service) { w.Docker = []Flag{{"volume", "/:/host"}} }, `may not set the Docker flag "volume"`},
		"a Docker flag with another one in its name":  {func(_ *App, w *Service) { w.Docker = []Flag{{"user=0 --privileged", "x"}} }, `may not set the Docker flag "user=0 --privileged"`},
		"a Docker flag that takes a number":           {func(_ *App, w *Service) { w.Docker = []Flag{{"shm-size", "lots"}} }, `Docker flag shm-size: "lots" is not a number`},
		"a Docker flag that takes true or false":      {func(_ *App, w *Service) { w.Docker = []Flag{{"init", "maybe"}} }, `"maybe" is neither true nor false`},
		"a Docker flag that takes a pair":             {func(_ *App, w *Service) { w.Docker = []Flag{{"sysctl", "x"}} }, `"x" is not of the form NAME=VALUE`},
		"a Docker flag that takes one of a few words": {func(_ *App, w *Service) { w.Docker = []Flag{{"pid", "container:x"}} }, `"container:x" is none of host`},
		"a Docker flag without a value":               {func(_ *App, w *Service) { w.Docker = []Flag{{"user", ""}} }, `"" is empty`},
		"an unknown network mode":                     {func(_ *App, w *Service) { w.NetworkMode = "macvlan" }, `network_mode: mode "macvlan" is not supported`},
		"a network name with a comma":                 {func(_ *App, w *Service) { w.Networks["a,b"] = nil }, `"a,b" is not a valid network name`},
		"an alias with a space":                       {func(_ *App, w *Service) { w.Networks["n"] = []string{"a b"} }, `alias "a b" must be made of`},
		"a string with a NUL":                         {func(_ *App, w *Service) { w.Command = []string{"a\x00b"} }, "services.web.command: a text of 3 bytes"},
		"a string that is not UTF-8":                  {func(_ *App, w *Service) { w.Environment = map[string]string{"A": "\xff"} }, "services.web.environment.A: a text of 1 bytes"},
		"a string too long for a command line":        {func(_ *App, w *Service) { w.Hostname = strings.Repeat("a", MaxString+1) }, "services.web.hostname: a text of 131072 bytes"},
		"an app too large to store":                   {func(_ *App, w *Service) { w.Command = strings.SplitAfter(strings.Repeat("a ", 300_000), " ") }, "the app has 1"},
		"a variable with = in its name":               {func(_ *App, w *Service) { w.Environment = map[string]string{"A=B": ""} }, `environment: "A=B" is not a valid name`},
		"a label that only Tombolo sets":              {func(_ *App, w *Service) { w.Labels = map[string]string{"tombolo.app": "other"} }, "only Tombolo sets labels that begin with tombolo."},
		"an unknown mount type":                       {func(_ *App, w *Service) { w.Mounts[0].Type = "npipe" }, `type "npipe" is not supported`},
		"an unknown mount option":                     {func(_ *App, w *Service) { w.Mounts[0].Options = map[string]string{"volume-opt": "x"} }, `option "volume-opt" is not supported`},
		"a mount over /etc/resolv.conf":               {func(_ *App, w *Service) { w.Mounts[0].Target = "/etc/resolv.conf" }, "Tombolo itself mounts /etc/resolv.conf"},
		"a mount over the root folder":                {func(_ *App, w *Service) { w.Mounts[0].Target = "/" }, `target "/" is not a clean path`},
		"a bind mount of a relative path":             {func(_ *App, w *Service) { w.Mounts[0].Type = MountBind }, `"shop_data" is not a path on a host`},
		"a bind mount of a path with a colon": {func(_ *App, w *Service) {
			w.Mounts[0] = Mount{Type: MountBind, Source: "/a:/b", Target: "/c", Create: true}
		}, `"/a:/b" is not a path on a host`},
		"a tmpfs with a source":    {func(_ *App, w *Service) { w.Mounts[0].Type = MountTmpfs }, "a tmpfs has no source"},
		"an unknown SELinux label": {func(_ *App, w *Service) { w.Mounts[0].SELinux = "q" }, `selinux "q"`},
		"a recursive bind mount of a folder to create": {func(_ *App, w *Service) {
			w.Mounts[0] = Mount{Type: MountBind, Source: "/a", Target: "/b", Create: true, Options: map[string]string{"bind-recursive": "disabled"}}
		}, "option bind-recursive cannot be combined"},
		"a port name with a space": {func(_ *App, w *Service) { w.Expose = []Expose{{Number: 1, Proto: "tcp", Name: "A B"}} }, `port name "A B" is not a DNS service name`},
		"a wait for the health of a service off the overlay": {func(a *App, w *Service) {
			w.DependsOn = map[string]Dependency{"db": {Condition: Healthy}}
			db := a.Services["db"]
			db.NetworkMode = "none"
			a.Services["db"] = db
		}, "services.web.depends_on.db: db is not on the overlay"},
		"two mounts with one target":                  {func(_ *App, w *Service) { w.Mounts = append(w.Mounts, w.Mounts[0]) }, "two volumes have the target /data"},
		"a volume name that is a path":                {func(a *App, _ *Service) { a.Volumes["data"] = Volume{Name: "/etc"} }, `volumes.data.name: "/etc" is not a valid volume name`},
		"a volume option with = in its name":          {func(a *App, _ *Service) { a.Volumes["data"] = Volume{Name: "d", Options: map[string]string{"a=b": ""}} }, `"a=b" is not a valid name`},
		"an unknown protocol":                         {func(_ *App, w *Service) { w.Ports[0].Proto = "tcp,readonly" }, `protocol "tcp,readonly" is not supported`},
		"a range of ports that ends before it begins": {func(_ *App, w *Service) { w.Ports[0].Last = 79 }, "80-79 is not a range"},
		"port 0 of a container":                       {func(_ *App, w *Service) { w.Ports[0].Target = 0 }, "port 0 is not a port"},
		"a host address that is not an IP address":    {func(_ *App, w *Service) { w.Ports[0].HostIP = "x" }, `"x" is not an IP address`},
		"a negative number of replicas":               {func(_ *App, w *Service) { w.Replicas = -1 }, "-1 is not between 0 and 10000"},
		"an unknown restart condition":                {func(_ *App, w *Service) { w.Restart.Condition = "always" }, `condition "always" is not supported`},
		"a negative number of restart attempts":       {func(_ *App, w *Service) { w.Restart.MaxAttempts = -1 }, "contains a negative number"},
		"a signal with a flag behind it":              {func(_ *App, w *Service) { w.StopSignal = "TERM --rm" }, "is not a signal"},
		"a negative time to stop":                     {func(_ *App, w *Service) { w.StopGrace = -1 }, "stop_grace_period: is negative"},
		"an unknown pull policy":                      {func(_ *App, w *Service) { w.PullPolicy = "daily" }, `"daily" is not supported`},
		"a constraint on an attribute with a space":   {func(_ *App, w *Service) { w.Constraints = []Constraint{{"a b", "==", "x"}} }, "is not a constraint"},
		"a health check that is no command":           {func(_ *App, w *Service) { w.Health = &Health{Test: []string{"RUN"}} }, `first word "RUN" is not supported`},
		"a negative number of health retries":         {func(_ *App, w *Service) { w.Health = &Health{Retries: -1} }, "retries: is negative"},
		"a negative health interval":                  {func(_ *App, w *Service) { w.Health = &Health{Interval: -1} }, "is less than 1ms"},
		"a negative reservation":                      {func(_ *App, w *Service) { w.Resources.CPUs = -1 }, "contains a negative number"},
		"a dependency that does not exist":            {func(_ *App, w *Service) { w.DependsOn = map[string]Dependency{"ghost": {Condition: Started}} }, "there is no service ghost"},
		"an unknown dependency condition":             {func(_ *App, w *Service) { w.DependsOn = map[string]Dependency{"db": {Condition: "x"}} }, `condition "x" is not supported`},
		"a service that waits for itself":             {func(_ *App, w *Service) { w.DependsOn = map[string]Dependency{"web": {Condition: Started}} }, "web -> web"},
		"a link to a service that does not exist":     {func(_ *App, w *Service) { w.Links[0].Service = "ghost" }, "links.ghost: there is no service ghost"},
		"a link alias with an empty label":            {func(_ *App, w *Service) { w.Links[0].Alias = "a..b" }, `alias "a..b" is empty`},
		"a link to an app whose name has a space":     {func(_ *App, w *Service) { w.Links[1].App = "a b" }, `"a b" must be made of`},
		"a container name that is no DNS name":        {func(_ *App, w *Service) { w.ContainerName, w.Replicas = "a;b", 1 }, `container name "a;b"`},
		"one container name for several instances":    {func(_ *App, w *Service) { w.ContainerName = "a" }, "there are several instances"},
		"an export to all apps by a wildcard":         {func(_ *App, w *Service) { w.Export = &Export{To: []string{"*"}} }, `app name "*" must be made of`},
	} {
		t.Run(name, func(t *testing.T) {
			a := validApp()
			w := a.Services["web"]
			c.change(a, &w)
			if a.Services != nil {
				a.Services["web"] = w
			}
			err := a.Validate()
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Validate returns %v\nwant an error with: %s", err, c.want)
			}
		})
	}
}

// FuzzValidate checks any JSON: Validate must not panic, and the flags of an App that
// passes must be safe for Docker's command line.
func FuzzValidate(f *testing.F) {
	data, err := json.Marshal(validApp())
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
					t.Errorf("Validate lets the unsafe flag %q pass", flag)
				}
			}
			a.MountFlags(s.Name)
			s.Args()
		}
	})
}

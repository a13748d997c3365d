package app

import (
	"strings"
	"testing"
)

func TestNamesThatNobodyCouldLookUpAreRefused(t *testing.T) {
	named := func(names ...string) map[string]Service {
		all := map[string]Service{}
		for _, name := range names {
			all[name] = Service{Name: name, Image: "i", Replicas: 1, Restart: Restart{Condition: RestartAny}}
		}
		return all
	}
	with := func(all map[string]Service, name string, change func(*Service)) map[string]Service {
		s := all[name]
		change(&s)
		all[name] = s
		return all
	}
	three := func(s *Service) { s.Replicas = 3 }
	for _, c := range []struct {
		name     string
		services map[string]Service
		want     string // a part of the problem; "": none
	}{
		{"a number", named("2"), `service name "2" cannot be looked up: programs take it for the number of an IP address; choose another name, for example n2`},
		{"a hexadecimal number", named("0x7f000001"), "for example n0x7f000001"},
		{"hexadecimal digits without a prefix", named("beef"), ""},
		{"a number and a letter", named("2b"), ""},
		{"localhost", named("localhost"), `service name "localhost" cannot be looked up: in every container it is the container itself`},
		{"a name of the loopback in /etc/hosts", named("ip6-loopback"), "for example my-ip6-loopback"},
		{"an alias on a network", with(named("web"), "web", func(s *Service) {
			s.Networks = map[string][]string{"shop_default": {"localhost"}}
		}), `alias "localhost" cannot be looked up`},
		{"an alias of a link", with(named("web", "db"), "web", func(s *Service) { s.Links = []Link{{Service: "db", Alias: "1"}} }), `alias "1" cannot be looked up`},
		{"an instance of another service", with(named("db", "db-2"), "db", three), `service name "db-2" is also the name of instance 2 of service db; choose another name, for example db2`},
		{"an instance that the other service does not have", with(named("db", "db-4"), "db", three), ""},
		{"an instance with the app's name before it", with(named("db", "shop-db-3"), "db", three), "instance 3 of service db"},
		{"an instance with the app's name and underscores", with(named("db", "shop_db_3"), "db", three), "instance 3 of service db"},
		{"no instance, with an underscore", with(named("db", "db_3"), "db", three), ""},
		{"no instance, with a leading zero", with(named("db", "db-02"), "db", three), ""},
		{"a hostname that is another service", with(named("web", "db"), "web", func(s *Service) { s.Hostname = "db" }), "db is the name of another service"},
		{"a container_name that is another service", with(named("web", "db"), "web", func(s *Service) { s.ContainerName = "db" }), "for example web-db"},
		{"a hostname that is its own service", with(named("web"), "web", func(s *Service) { s.Hostname = "web" }), ""},
		{"tasks", named("tasks"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := (&App{Name: "shop", Services: c.services}).Validate()
			switch {
			case c.want == "" && err != nil:
				t.Errorf("Validate returned %v, want no problem", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("Validate returned %v, want a problem with %q", err, c.want)
			}
		})
	}
}

package app

import "testing"

func TestAServiceMayWaitForThoseThatItCanReach(t *testing.T) {
	on := func(networks ...string) Service {
		s := Service{Networks: map[string][]string{}}
		for _, n := range networks {
			s.Networks[n] = nil
		}
		return s
	}
	linked, depends, host, none := on("front"), on("front"), Service{NetworkMode: NetworkHost}, Service{NetworkMode: NetworkNone}
	linked.Links = []Link{{Service: "api"}}
	depends.DependsOn = map[string]Dependency{"api": {Condition: Started}}
	publishes := on("back")
	publishes.Ports = []Port{{Host: 80, Target: 80, Proto: "tcp"}}
	for _, c := range []struct {
		name     string
		web, api Service
		strict   bool
		want     bool
	}{
		{"on a shared network", on("front", "back"), on("back"), false, true},
		{"on other networks", on("front"), on("back"), false, false},
		{"on a shared network where only links count", on("back"), on("back"), true, false},
		{"over a link", linked, on("back"), true, true},
		{"as a dependency", depends, on("back"), true, true},
		{"over the network of the host, at a published port", host, publishes, false, true},
		{"over the network of the host, without a published port", host, on("back"), false, false},
		{"without a network", none, publishes, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := App{Name: "shop", Strict: c.strict, Services: map[string]Service{"web": c.web, "api": c.api}}
			if got := a.MayWaitFor("web", "api"); got != c.want {
				t.Errorf("MayWaitFor(web, api) is %v, want %v", got, c.want)
			}
		})
	}
}

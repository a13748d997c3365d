package framework

import (
	"testing"
	"time"

	"tombolo/framework/app"
	"tombolo/framework/store"
	linker "tombolo/linker/api"
)

func TestFindingsSayWhatKeepsAContainerFromWork(t *testing.T) {
	check := func(exit int, output string) linker.Container {
		return linker.Container{Status: "running", Attached: true, Failed: &linker.HealthCheck{Exit: exit, Output: output}}
	}
	for _, c := range []struct {
		name  string
		state linker.Container
		off   bool // the service is not on the overlay
		want  string
	}{
		{"nothing is wrong", linker.Container{Status: "running", Attached: true}, false, ""},
		{"paused", linker.Container{Status: "paused", Attached: true}, false, "its container is paused (to let it go on: docker unpause c)"},
		{
			"disconnected", linker.Container{Status: "running"}, false,
			"its container was disconnected from the network tombolo (to connect it again: docker network connect tombolo c)",
		},
		{"on another network on purpose", linker.Container{Status: "running"}, true, ""},
		{"a check that prints", check(1, "no response"), false, "its health check fails with status 1: no response"},
		{"a check that prints nothing", check(7, ""), false, "its health check fails with status 7 and prints nothing"},
		{"a check that takes too long", check(-1, ""), false, "its health check takes too long"},
		{
			"a check that takes too long, in Docker's words", check(-1, "Health check exceeded timeout (1s)"), false,
			"its health check fails: Health check exceeded timeout (1s)",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := finding(c.state, "c", !c.off); got != c.want {
				t.Errorf("finding returned %q, want %q", got, c.want)
			}
		})
	}
}

func TestStartIntervalIsLeftOutWhereDockerRefusesIt(t *testing.T) {
	wanted := app.App{Name: "shop", Services: map[string]app.Service{
		"web": {Name: "web", Health: &app.Health{StartPeriod: time.Minute, StartInterval: time.Second}}, "db": {Name: "db"},
	}}
	on := linkers{"new": {engineAPI: "1.44"}, "newer": {engineAPI: "1.56"}, "old": {engineAPI: "1.43"}, "unknown": {}, "odd": {engineAPI: "2"}}
	for host, kept := range map[string]bool{"new": true, "newer": true, "old": false, "unknown": false, "odd": false, "without a linker": false} {
		s := on.forHost(wanted, "web", host).Services["web"]
		if (s.Health.StartInterval != 0) != kept || s.Health.StartPeriod != time.Minute {
			t.Errorf("on the host %q the health check is %+v, want it with start_interval: %v", host, s.Health, kept)
		}
		warned := len(on.leftOut(wanted, []*task{
			{Task: store.Task{Service: "web", Host: host}}, {Task: store.Task{Service: "web", Host: host}}, {Task: store.Task{Service: "db", Host: host}},
		}))
		if kept && warned != 0 || !kept && warned != 1 {
			t.Errorf("on the host %q there are %d warnings; the start_interval is kept: %v", host, warned, kept)
		}
	}
	if wanted.Services["web"].Health.StartInterval != time.Second {
		t.Error("forHost changed the app itself")
	}
}

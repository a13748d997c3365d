package cli

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tombolo/cmd/errortest"
	"tombolo/framework/api"
)

func TestUpShowsWhatBecomesOfTheApp(t *testing.T) {
	web := func(s api.State, reason string, log ...string) api.Instance {
		return api.Instance{App: "shop", Service: "web", Slot: 1, State: s, Host: "h1", Reason: reason, Log: log}
	}
	staging := api.Status{Revision: 7, Instances: []api.Instance{web(api.StateStaging, "")}}
	cases := []struct {
		name   string
		script []api.Status
		out    string
		err    string
	}{
		{"comes up", []api.Status{staging, {Revision: 7, Up: true, Instances: []api.Instance{web(api.StateUp, "")}}},
			"shop web.1 staging on h1\nshop web.1 up on h1\nshop is up: 1 instance\n", ""},
		{"ignores the end of an older revision", []api.Status{{Revision: 6, Up: true, Failed: "old"}, staging, {Revision: 7, Up: true}},
			"shop web.1 staging on h1\nshop web.1 gone\nshop is up: 0 instances\n", ""},
		{"cannot come up", []api.Status{staging, {Revision: 7, Failed: "web.1: exited with 3, 3 times in a row",
			Instances: []api.Instance{web(api.StateFailed, "exited with 3", "last", "words")}}},
			"shop web.1 staging on h1\nshop web.1 failed on h1: exited with 3\nweb.1 failed on h1: exited with 3\n    | last\n    | words\n",
			"shop cannot come up: web.1: exited with 3, 3 times in a row"},
		{"has a host that is not ready", []api.Status{staging, {Revision: 7, Troubles: []string{"host h1 is not ready: no names"}, Instances: staging.Instances},
			{Revision: 7, Troubles: []string{"host h1 is not ready: no names"}, Up: true, Instances: []api.Instance{web(api.StateUp, "")}}},
			"shop web.1 staging on h1\nwarning: host h1 is not ready: no names\nshop web.1 up on h1\nshop is up: 1 instance\n" +
				"warning: host h1 is not ready: no names (see there: tombolo linker status)\n", ""},
		{"is taken down", []api.Status{staging, {Revision: 7, Removing: true}},
			"shop web.1 staging on h1\nshop web.1 gone\n", "taken down by another command"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := &fakeFramework{script: c.script}
			out, err := tombolo(t, f.serve(t), shop, "up")
			errortest.Contains(t, err, c.err)
			if diff := cmp.Diff(c.out, out); diff != "" {
				t.Errorf("printed (-want +got):\n%s", diff)
			}
			if len(f.put) != 1 || f.put[0].Name != "shop" {
				t.Errorf("submitted the apps %v, want shop alone", f.put)
			}
		})
	}
}

func TestAnInterruptedUpLeavesTheAppComingUp(t *testing.T) {
	f := &fakeFramework{script: []api.Status{{Revision: 7}}}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	out, err := tomboloUntil(ctx, t, f.serve(t), shop, "up")
	var exit exitError
	if !errors.As(err, &exit) || exit != 130 || !strings.Contains(out, "shop goes on coming up: tombolo -p shop ps") {
		t.Errorf("got error %v and output %q, want exit code 130 and that the app goes on coming up", err, out)
	}
	if len(f.deleted) > 0 {
		t.Errorf("an interrupted up took down %v", f.deleted)
	}
}

func TestUpFailsAfterItsWaitTimeout(t *testing.T) {
	f := &fakeFramework{script: []api.Status{{Revision: 7, Instances: []api.Instance{{Service: "web", Slot: 1, State: api.StateWaiting, Reason: "waits for offers"}}}}}
	out, err := tombolo(t, f.serve(t), shop, "up", "--wait-timeout", "200ms")
	errortest.Contains(t, err, "shop is not up after 200ms")
	if !strings.Contains(out, "web.1 waiting: waits for offers") {
		t.Errorf("up printed %q, want the instance that waits and its reason", out)
	}
}

func TestADetachedUpDoesNotWait(t *testing.T) {
	out, err := tombolo(t, (&fakeFramework{}).serve(t), shop, "up", "-d")
	errortest.Contains(t, err, "")
	if out != "shop is on its way (see: tombolo -p shop ps)\n" {
		t.Errorf("up --detach printed %q", out)
	}
}

func TestUpAcceptsComposeFlagsThatAskForItsDefaults(t *testing.T) {
	f := &fakeFramework{script: []api.Status{{Revision: 7, Up: true}}}
	out, err := tombolo(t, f.serve(t), shop, "up", "-d", "--wait", "--wait-timeout", "60", "--build", "--remove-orphans", "--quiet-pull")
	errortest.Contains(t, err, "")
	if out != "shop is up: 0 instances\n" {
		t.Errorf("up printed %q, want it to wait in spite of -d, because of --wait", out)
	}
}

func TestScaleLastsUntilTheNextUp(t *testing.T) {
	f := &fakeFramework{}
	socket := f.serve(t)
	_, err := tombolo(t, socket, shop, "scale", "web=2")
	errortest.Contains(t, err, "shop is not up")
	for _, args := range [][]string{{"up", "-d", "--scale", "web=3", "--scale", "db=0"}, {"scale", "-d", "web=5"}, {"up", "-d"}} {
		_, err := tombolo(t, socket, shop, args...)
		errortest.Contains(t, err, "")
	}
	_, err = tombolo(t, socket, shop, "scale", "nosuch=2")
	errortest.Contains(t, err, `shop has no service "nosuch"`)
	var replicas [][2]int
	for _, a := range f.put {
		replicas = append(replicas, [2]int{a.Services["web"].Replicas, a.Services["db"].Replicas})
	}
	if diff := cmp.Diff([][2]int{{3, 0}, {5, 0}, {1, 1}}, replicas); diff != "" {
		t.Errorf("replicas of web and db (-want +got):\n%s", diff)
	}
}

func TestUpSaysWhyItCannotSubmitTheApp(t *testing.T) {
	_, err := tombolo(t, (&fakeFramework{}).serve(t), "name: refused\nservices: {a: {image: a}}\n", "up")
	errortest.Contains(t, err, "invalid: no")
	_, err = tombolo(t, "/nowhere/api.sock", shop, "up")
	errortest.Contains(t, err, "no framework answers at /nowhere/api.sock")
	_, err = tombolo(t, "/nowhere/api.sock", "services: {a: {image: 7, nokey: 1}}\n", "up")
	errortest.Contains(t, err, "nokey")
}

func TestOneFlagChangesTheReservationOfServicesThatSayNothing(t *testing.T) {
	const file = `name: shop
services:
  plain: {image: a}
  limited: {image: a, cpus: 0.01}
  roomy: {image: a, cpus: 2}
  reserved: {image: a, deploy: {resources: {reservations: {cpus: "0.5"}}}}
`
	f := &fakeFramework{}
	socket := f.serve(t)
	for _, c := range []struct {
		args []string
		want map[string]float64 // CPUs that the file of the framework reserves; 0: its default
	}{
		{[]string{"up", "-d"}, map[string]float64{"plain": 0, "limited": 0, "roomy": 0, "reserved": 0.5}},
		{[]string{"up", "-d", "--default-cpus", "0.1"}, map[string]float64{"plain": 0, "limited": 0, "roomy": 0, "reserved": 0.5}},
		{[]string{"up", "-d", "--default-cpus", "0.02"}, map[string]float64{"plain": 0.02, "limited": 0, "roomy": 0.02, "reserved": 0.5}},
	} {
		_, err := tombolo(t, socket, file, c.args...)
		errortest.Contains(t, err, "")
		got := map[string]float64{}
		for name, s := range f.put[len(f.put)-1].Services {
			got[name] = s.Resources.CPUs
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%v: reserved CPUs (-want +got):\n%s", c.args, diff)
		}
	}
	for _, bad := range []string{"0", "-1", "NaN", "+Inf", "0.001"} {
		_, err := tombolo(t, socket, file, "up", "-d", "--default-cpus", bad)
		errortest.Contains(t, err, "--default-cpus:")
	}
}

func TestUpPermitsThatLostVolumesAreMadeAnew(t *testing.T) {
	f := &fakeFramework{}
	socket := f.serve(t)
	for _, args := range [][]string{{"up", "-d"}, {"up", "-d", "--recreate-volumes"}} {
		_, err := tombolo(t, socket, shop, args...)
		errortest.Contains(t, err, "")
		if permitted := len(f.recreated) > 0; permitted != (len(args) == 3) {
			t.Errorf("after %v, the framework was permitted to make volumes anew: %v", args, permitted)
		}
	}
}

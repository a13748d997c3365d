package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tombolo/framework/api"
	"tombolo/framework/app"
)

// settleWithin is how long the cluster may take once the faults stop. The longest pause of the
// framework is the rest of a host whose agent has refused launches: 10 minutes.
const settleWithin = 20 * time.Minute

// settle waits until the cluster is as it is wanted, and expects that it stays so.
func (s *scenario) settle() {
	if !s.await("as it is wanted", s.differences) {
		return
	}
	launched := len(s.cluster.Launches())
	s.pass(steadyFor)
	if text := s.differences(); text != "" {
		s.t.Errorf("%v after everything was as it is wanted: %s", steadyFor, text)
	}
	if more := s.cluster.Launches()[launched:]; len(more) > 0 {
		s.t.Errorf("these tasks were launched although nothing was missing: %v", more)
	}
}

// await waits until difference returns "".
func (s *scenario) await(what string, difference func() string) bool {
	text := ""
	for end := time.Now().Add(settleWithin); time.Now().Before(end); {
		s.pass(5 * time.Second)
		if text = difference(); text == "" {
			s.say("the cluster is " + what)
			return true
		}
	}
	s.t.Errorf("%v after the faults stopped the cluster is not %s: %s", settleWithin, what, text)
	return false
}

// watch looks at what holds at all times. Offers are looked at with the next message otherwise.
func (s *scenario) watch() { s.witness.look() }

// differences says how the cluster and the framework's API differ from what is wanted.
func (s *scenario) differences() string {
	snapshot, _ := s.f.Snapshot()
	if snapshot == nil {
		return "the framework shows nothing"
	}
	want, running := map[string]string{}, map[string]string{}
	for _, name := range sorted(s.apps) {
		s.expect(s.apps[name], want)
		shown, _ := snapshot.Apps.Get(name)
		if text := disagreement(shown.Status, s.cluster.Running()); text != "" {
			return text
		}
	}
	for id, info := range s.cluster.Infos() {
		place := placeOf(id, s.apps, s.cluster.Running()[id])
		if running[place] != "" {
			return fmt.Sprintf("%s runs twice", place)
		}
		running[place] = info.Container.Docker.Image
	}
	if !maps.Equal(want, running) {
		return fmt.Sprintf("\n  wanted  %s\n  running %s\n%s", list(want), list(running), show(snapshot))
	}
	for name := range snapshot.Apps.All() {
		if s.apps[name].Name == "" {
			return name + " is shown although it was removed"
		}
	}
	if waiting := s.cluster.Unacknowledged(); len(waiting) > 0 {
		return fmt.Sprintf("agents wait for the acknowledgement of updates of %q", waiting)
	}
	return ""
}

// expect adds to want the image that each place of an app should run. A place is a slot, or a
// host for a service that runs on every host. A job has ended.
func (s *scenario) expect(a app.App, want map[string]string) {
	for name, service := range a.Services {
		switch {
		case name == "job":
		case service.Global:
			for _, host := range s.hosts {
				want[a.Name+"."+name+"@"+host] = service.Image
			}
		default:
			for slot := range service.Replicas {
				want[fmt.Sprintf("%s.%s.%d", a.Name, name, slot+1)] = service.Image
			}
		}
	}
}

// placeOf returns the place that a task fills.
func placeOf(id string, apps map[string]app.App, host string) string {
	part := strings.Split(id, ".")
	if apps[part[0]].Services[part[1]].Global {
		return part[0] + "." + part[1] + "@" + host
	}
	return strings.Join(part[:3], ".")
}

// disagreement says how the API's status of an app differs from what runs.
func disagreement(s api.Status, running map[string]string) string {
	if !s.Up {
		return fmt.Sprintf("app %q is not up: %s", s.App, showApp(s))
	}
	for _, i := range s.Instances {
		switch {
		case i.State == api.StateDone:
		case i.State != api.StateUp || running[i.Task] != i.Host:
			return fmt.Sprintf("%s.%s.%d is shown as %s on %q; it runs on %q", s.App, i.Service, i.Slot, i.State, i.Host, running[i.Task])
		}
	}
	return ""
}

func list(m map[string]string) string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		out = append(out, key+"="+m[key])
	}
	return strings.Join(out, " ")
}

func show(s *api.Snapshot) string {
	var out strings.Builder
	for _, shown := range s.Apps.All() {
		out.WriteString(showApp(shown.Status))
	}
	return out.String()
}

func showApp(s api.Status) string {
	var out strings.Builder
	fmt.Fprintf(&out, "  %s revision %d up %v removing %v failed %q\n", s.App, s.Revision, s.Up, s.Removing, s.Failed)
	for _, i := range s.Instances {
		fmt.Fprintf(&out, "    %s.%d g%d %s %s %q\n", i.Service, i.Slot, i.Generation, i.State, i.Host, i.Reason)
	}
	return out.String()
}

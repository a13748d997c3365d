package master

import (
	"slices"
	"time"

	"github.com/google/uuid"
	lib "github.com/mesos/mesos-go/api/v1/lib"
)

// scene is what was around a recorded scheduler: the master's settings and what
// was done outside the API, by time.
type scene struct {
	config Config
	steps  []sceneStep
	alone  bool // no agent is there at first
	// resources are the agent's where they were not 2 CPUs and 4 GiB.
	resources []lib.Resource
}

type sceneStep struct {
	at time.Duration
	do func(r *replay)
}

func sceneOf(folder, dir string) scene {
	depart := func(r *replay) { r.agent.depart() }
	back := func(r *replay) { r.agent.back() }
	s := scene{config: Config{allocationInterval: time.Second}}
	switch folder {
	case "06":
		s.config.AgentTimeout = 3700 * time.Millisecond
		s.steps = []sceneStep{
			{11097 * time.Millisecond, depart}, {14 * time.Second, back},
			{25209 * time.Millisecond, depart}, {40518 * time.Millisecond, back},
			{52562 * time.Millisecond, depart}, {55 * time.Second, back},
		}
	case "06d":
		s.config.offerTimeout = 3 * time.Second
		s.resources = []lib.Resource{ // an earlier recording's task has the rest
			rangesResource("ports", 31000, 32000), scalarResource("cpus", 1.9),
			scalarResource("mem", 4064), scalarResource("disk", 10240),
		}
		s.steps = []sceneStep{
			{2437 * time.Millisecond, depart}, {7600 * time.Millisecond, back},
			{13190 * time.Millisecond, depart}, {18600 * time.Millisecond, back},
			{20238 * time.Millisecond, depart}, {25600 * time.Millisecond, func(r *replay) {
				r.agent.info.Resources = slices.Clone(r.agent.info.Resources)
				r.agent.info.Resources[1] = scalarResource("cpus", 3.9)
				r.agent.back()
			}},
			{35339 * time.Millisecond, func(r *replay) { r.agent.leave() }},
		}
	case "04":
		s.steps = endings
	case "10":
		s.config.Dir = dir
		s.steps = []sceneStep{{1036 * time.Millisecond, restartMaster}, {3855 * time.Millisecond, back}}
	case "11":
		s.alone = true
	case "12":
		s.alone = true
		s.config.Credentials = map[string]string{"p1": "s1"}
		s.steps = []sceneStep{{7086500 * time.Microsecond, func(r *replay) {
			r.scene.config.Credentials, r.scene.config.offerTimeout = nil, 3*time.Second
			restartMaster(r)
			r.agent.back()
		}}}
	}
	return s
}

// endings are tasks of folder 04 whose last update waits for ever behind one that
// is not acknowledged. A real master learns it from the next repetition of that.
var endings = []sceneStep{
	{192877 * time.Millisecond, ending("bt4214429")},
	{210893 * time.Millisecond, ending("bt4232105")},
	{221905 * time.Millisecond, ending("bt4243125")},
	{227960 * time.Millisecond, ending("bt4249131")},
}

func ending(task string) func(*replay) {
	return func(r *replay) {
		id := uuid.New()
		r.agent.report("82ced869-9722-49f0-997b-0366d7246065-0013",
			lib.TaskStatus{TaskID: lib.TaskID{Value: task}, State: lib.TASK_FAILED.Enum(), UUID: id[:]})
	}
}

func restartMaster(r *replay) {
	r.stop()
	r.start()
}

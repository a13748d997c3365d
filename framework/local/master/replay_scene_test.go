package master

import (
	"slices"
	"time"

	"github.com/google/uuid"
	lib "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/resources"
)

// scene is what surrounded a recorded scheduler: the settings of the master, and what
// happened outside of the API.
type scene struct {
	config    Config
	steps     []sceneStep
	alone     bool           // the recording begins without an agent
	resources []lib.Resource // of the agent; nil: 2 CPUs and 4 GiB
}

type sceneStep struct {
	at time.Duration // since the recording began
	do func(r *replay)
}

// sceneOf returns the scene of a recording's folder. dir is a folder for the master.
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
		s.resources = []lib.Resource{ // a task of an earlier recording uses the rest
			allPorts, resources.NewCPUs(1.9).Resource, resources.NewMemory(4064).Resource, resources.NewDisk(10240).Resource,
		}
		s.steps = []sceneStep{
			{2437 * time.Millisecond, depart}, {7600 * time.Millisecond, back},
			{13190 * time.Millisecond, depart}, {18600 * time.Millisecond, back},
			{20238 * time.Millisecond, depart}, {25600 * time.Millisecond, func(r *replay) {
				r.agent.info.Resources = slices.Clone(r.agent.info.Resources)
				r.agent.info.Resources[1] = resources.NewCPUs(3.9).Resource
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

// endings end the tasks of folder 04 whose last update never came, because one before it
// was not acknowledged. Apache Mesos learns of the end with the next repetition of that
// update.
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

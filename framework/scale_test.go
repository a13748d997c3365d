package framework_test

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/app"
	"tombolo/framework/frameworktest"
)

// TestManyInstances starts ten instances per host on 100 hosts, or on as many as
// TOMBOLO_SCALE says, and logs the CPU time, which includes that of the simulation.
func TestManyInstances(t *testing.T) {
	hosts := 100
	if text := os.Getenv("TOMBOLO_SCALE"); text != "" {
		var err error
		if hosts, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for i := range hosts {
		names = append(names, fmt.Sprintf("h%04d", i))
	}
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, frameworktest.Options{
			Hosts: names, CPUs: 16, MemBytes: 64 << 30,
			Behave: func(mesos.TaskInfo) frameworktest.Behaviour { return frameworktest.Behaviour{Start: time.Second} },
		})
		b.hosts = nil // without linkers
		b.start()
		before := cpu(t)
		b.put(app.App{Name: "big", Services: map[string]app.Service{"web": {
			Name: "web", Image: "web:1", Replicas: 10 * hosts, Restart: app.Restart{Condition: app.RestartAny},
		}}})
		start := time.Now()
		b.awaitUp("big")
		t.Logf("%d instances on %d hosts: %v of CPU time, %v of simulated time", 10*hosts, hosts, cpu(t)-before, time.Since(start))
		if err := b.stop(); err != nil {
			t.Error(err)
		}
		for _, v := range b.cluster.Violations() {
			t.Error(v)
		}
	})
}

func cpu(t *testing.T) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

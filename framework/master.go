package framework

import (
	"cmp"
	"context"
	"fmt"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// Master is the connection to the Mesos masters.
type Master interface {
	// Run keeps the framework subscribed until ctx ends and calls handle with every
	// event, one at a time, and the number of its subscription, which grows.
	Run(ctx context.Context, handle func(subscription uint64, e scheduler.Event)) error
	// Call makes one call other than SUBSCRIBE in the subscription with that number, and
	// fills in the framework ID. If the subscription has ended, Call makes no call and
	// returns an error. It returns within seconds, whatever the master does.
	Call(ctx context.Context, subscription uint64, call *scheduler.Call) error
	// SetFrameworkID sets the ID for the next subscription; "" asks for a new one.
	SetFrameworkID(id string)
}

// failover is how long the master keeps the tasks of a framework that is not subscribed.
const failover = 7 * 24 * time.Hour

// Info describes the framework to the master. user runs the executors and has to exist
// on the agents; "" means root. role "" means "*".
func Info(user, role string) mesos.FrameworkInfo {
	return mesos.FrameworkInfo{
		User: cmp.Or(user, "root"), Name: "tombolo", Roles: []string{cmp.Or(role, "*")},
		FailoverTimeout: new(failover.Seconds()), Checkpoint: new(true),
		Capabilities: []mesos.FrameworkInfo_Capability{
			{Type: mesos.FrameworkInfo_Capability_MULTI_ROLE},
			{Type: mesos.FrameworkInfo_Capability_PARTITION_AWARE},
			{Type: mesos.FrameworkInfo_Capability_TASK_KILLING_STATE},
		},
	}
}

// masterAddress returns host:port of the leading master; "" if m is nil.
func masterAddress(m *mesos.MasterInfo) string {
	if m == nil {
		return ""
	}
	host := cmp.Or(m.GetAddress().GetIP(), m.GetHostname())
	return fmt.Sprintf("%s:%d", host, cmp.Or(m.GetAddress().GetPort(), int32(m.GetPort())))
}

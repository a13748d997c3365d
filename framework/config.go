package framework

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/api"
	"tombolo/framework/store"
	linker "tombolo/linker/api"
	"tombolo/linker/record"
)

// Master is the Mesos master, as it is seen through one subscription after
// another.
type Master interface {
	// Run subscribes, again and again, until ctx ends, and calls handle with every
	// event, one at a time.
	Run(ctx context.Context, handle func(scheduler.Event)) error
	// Call makes one call other than SUBSCRIBE, and fills in who calls.
	Call(ctx context.Context, call *scheduler.Call) error
	// SetFrameworkID says who subscribes from the next time on; "" is somebody new.
	SetFrameworkID(id string)
}

// Linker is the linker of one host. *linker/api.Client is all three.
type Linker struct {
	Catalog  Catalog
	Recorder Recorder
	Logs     Logs
}

// Catalog shows a linker's catalog.
type Catalog interface {
	// Watch calls fn with the catalog, at once and after each change, until ctx
	// ends or the linker cannot be reached.
	Watch(ctx context.Context, fn func(*record.Snapshot)) error
}

// Recorder takes app records. An error that wraps linker/api.ErrStale says that
// the linker knows a newer one.
type Recorder interface {
	PutApp(ctx context.Context, rec record.Record) error
	DeleteApp(ctx context.Context, tombstone record.Record) error
}

// Logs shows a container's output.
type Logs interface {
	Logs(ctx context.Context, container string, options linker.LogOptions, fn func(linker.LogLine) error) error
}

// Config is what a Framework needs.
type Config struct {
	Master Master
	Store  *store.Store
	// Linkers are the linkers that the framework can reach, by host name. One is
	// enough to see the catalog; only those named here show logs. None at all: a
	// task that runs counts as healthy and resolvable.
	Linkers map[string]Linker
	// Info is what the API tells of the cluster; the framework fills in what it
	// knows itself, the master where Info does not name it.
	Info api.Info
	// Resolver is the host's file that containers get as /etc/resolv.conf; empty
	// means that they keep Docker's.
	Resolver string
	Log      *slog.Logger // nil: slog.Default()
}

func (c Config) withDefaults() Config {
	c.Log = cmp.Or(c.Log, slog.Default())
	c.Info.Zone = cmp.Or(c.Info.Zone, "tombolo.internal")
	return c
}

// DefaultResolver is the linkers' resolv.conf: it names 169.254.1.1.
const DefaultResolver = "/var/lib/tombolo/resolv.conf"

// DefaultFailover is how long the master keeps tasks of a framework that is away.
const DefaultFailover = 7 * 24 * time.Hour

// The framework's own delays.
const (
	callTimeout    = 10 * time.Second // of one call to the master or a linker
	gatherWait     = 300 * time.Millisecond
	holdOffers     = 30 * time.Second // offers that do not fit go back after so long
	refuse         = 5 * time.Second  // and are not to come again for so long
	refuseIdle     = time.Hour        // when nothing is wanted of those who have offered
	refuseNameless = time.Hour        // offers of an agent whose name is no host name
	killAgain      = 15 * time.Second // a KILL without effect is repeated
	reconcileWait  = time.Second      // before the first repetition; it doubles
	reconcileMax   = 30 * time.Second
	reconcileIdle  = 5 * time.Minute // between looks for tasks that nobody knows
	logsWait       = 2 * time.Second // for a failed task's last lines
	logsTail       = 20
	steady         = 2 * time.Second        // to count as up without a health check
	patience       = 10 * time.Second       // before an app counts as one that fits nowhere
	linkerWait     = 500 * time.Millisecond // before a linker is tried again; it doubles
	linkerMax      = 5 * time.Second
)

// Info is what the framework subscribes as: partition aware, with
// checkpoints. The user runs the executors and has to exist on the agents.
func Info(user, role string, failover time.Duration) mesos.FrameworkInfo {
	seconds, checkpoint := failover.Seconds(), true
	capability := func(t mesos.FrameworkInfo_Capability_Type) mesos.FrameworkInfo_Capability {
		return mesos.FrameworkInfo_Capability{Type: t}
	}
	return mesos.FrameworkInfo{
		User: user, Name: "tombolo", Roles: []string{cmp.Or(role, "*")},
		FailoverTimeout: &seconds, Checkpoint: &checkpoint,
		Capabilities: []mesos.FrameworkInfo_Capability{
			capability(mesos.FrameworkInfo_Capability_MULTI_ROLE),
			capability(mesos.FrameworkInfo_Capability_PARTITION_AWARE),
			capability(mesos.FrameworkInfo_Capability_TASK_KILLING_STATE),
		},
	}
}

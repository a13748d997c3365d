package master

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"

	"github.com/google/uuid"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	operator "github.com/mesos/mesos-go/api/v1/lib/master"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/local"
)

// version is the Mesos version that the master reports.
const version = "1.12.0"

// Master serves schedulers and directs agents. It composes the parts that package
// master lists; all of them run on its loop.
type Master struct {
	info          mesos.MasterInfo
	loop          *loop
	registry      *registry
	subscriptions *subscriptions
	membership    *membership
	offers        *allocator
	tasks         *taskBook
	launcher      launcher
	taskCalls     taskCalls
	handler       http.Handler
}

// New reads what an earlier master left in config.Dir. It starts nothing.
func New(config Config, log *slog.Logger) (*Master, error) {
	config = config.withDefaults()
	info, err := masterInfo(config.MasterAddr)
	if err != nil {
		return nil, err
	}
	r, err := openRegistry(config.Dir, info.ID, log)
	if err != nil {
		return nil, err
	}
	l := newLoop()
	offers := newAllocator(config, l, r)
	tasks := &taskBook{log: log, loop: l, offers: offers}
	m := &Master{
		info: info, loop: l, registry: r, offers: offers, tasks: tasks,
		launcher:  launcher{log: log, offers: offers, tasks: tasks},
		taskCalls: taskCalls{registry: r},
		subscriptions: &subscriptions{
			master: info, log: log, loop: l, registry: r, tasks: tasks, offers: offers,
		},
	}
	m.membership = &membership{
		agentTimeout: config.AgentTimeout, log: log,
		loop: l, registry: r, tasks: tasks, offers: offers, subscriptions: m.subscriptions,
	}
	m.handler = (&server{
		address: config.MasterAddr, credentials: config.Credentials, loop: l, subscriptions: m.subscriptions, calls: m,
	}).routes()
	return m, nil
}

// masterInfo describes a master with a new ID. As in Apache Mesos the ID differs after
// every start, so that IDs made from it never repeat.
func masterInfo(addr string) (mesos.MasterInfo, error) {
	host, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return mesos.MasterInfo{}, fmt.Errorf("master address: %w", err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return mesos.MasterInfo{}, fmt.Errorf("master address: %w", err)
	}
	info := mesos.MasterInfo{
		ID:       uuid.NewString(),
		Port:     new(uint32(port)),
		PID:      new("master@" + addr),
		Hostname: &host,
		Version:  new(version),
		Address:  &mesos.Address{Hostname: &host, IP: &host, Port: int32(port)},
		Capabilities: []mesos.MasterInfo_Capability{
			{Type: mesos.MasterInfo_Capability_AGENT_UPDATE},
			{Type: mesos.MasterInfo_Capability_AGENT_DRAINING},
		},
	}
	if ip := net.ParseIP(host).To4(); ip != nil { // in network order, as a number of this (little-endian) host
		info.IP = uint32(ip[0]) | uint32(ip[1])<<8 | uint32(ip[2])<<16 | uint32(ip[3])<<24
	}
	return info, nil
}

// Handler serves the scheduler API at /api/v1/scheduler, the operator API at /api/v1,
// and /health, /version, /state and /redirect. It answers while Run runs.
func (m *Master) Handler() http.Handler { return m.handler }

// Run directs agents and answers schedulers until ctx ends. It then ends all streams
// and returns nil.
func (m *Master) Run(ctx context.Context) error {
	for _, f := range m.registry.frameworks { // of the last master: they are disconnected
		m.subscriptions.awaitFailover(f, max(f.failoverTimeout(), m.membership.agentTimeout))
	}
	for _, a := range m.registry.agents {
		m.membership.awaitReturn(a)
	}
	m.loop.run(ctx)
	m.subscriptions.endStreams()
	return nil
}

// Send queues a message from an agent: Master is a local.Master.
func (m *Master) Send(from local.Agent, message local.ToMaster) {
	m.loop.post(func() { m.membership.receive(from, message) })
}

// call handles one call of a subscribed framework. It ignores the calls that have no
// use here: inverse offers (there is no maintenance), operations (there are no
// reservations), messages (there are no custom executors), and requests, which Apache
// Mesos ignores too.
func (m *Master) call(c *scheduler.Call, principal, streamID string) answer {
	f := m.registry.frameworks[c.FrameworkID.GetValue()]
	if refusal := checkSender(f, principal, streamID); refusal != nil {
		return *refusal
	}
	switch c.Type {
	case scheduler.Call_TEARDOWN:
		m.subscriptions.remove(f, "torn down")
	case scheduler.Call_ACCEPT:
		m.launcher.accept(f, c.Accept)
	case scheduler.Call_DECLINE:
		m.offers.decline(f, c.Decline)
	case scheduler.Call_REVIVE:
		f.revive(c.Revive.GetRoles())
		m.offers.allocateAll()
	case scheduler.Call_SUPPRESS:
		f.suppress(c.Suppress.GetRoles())
	case scheduler.Call_KILL:
		m.taskCalls.kill(f, c.Kill)
	case scheduler.Call_SHUTDOWN:
		m.taskCalls.shutdownExecutor(f, c.Shutdown)
	case scheduler.Call_ACKNOWLEDGE:
		m.tasks.acknowledge(f, c.Acknowledge)
	case scheduler.Call_RECONCILE:
		m.taskCalls.reconcile(f, c.Reconcile)
	case scheduler.Call_UPDATE_FRAMEWORK:
		return m.subscriptions.update(f, c.UpdateFramework)
	}
	return accepted
}

// operate handles a call of the operator API.
func (m *Master) operate(c *operator.Call) answer {
	switch {
	case c.Type == operator.Call_MARK_AGENT_GONE && c.MarkAgentGone != nil:
		return m.onAgent(c.MarkAgentGone.AgentID.Value, m.membership.markGone)
	case c.Type == operator.Call_DEACTIVATE_AGENT && c.DeactivateAgent != nil:
		return m.onAgent(c.DeactivateAgent.AgentID.Value, func(a *agent) {
			a.inactive = true
			m.offers.rescindAll(a)
		})
	case c.Type == operator.Call_REACTIVATE_AGENT && c.ReactivateAgent != nil:
		return m.onAgent(c.ReactivateAgent.AgentID.Value, func(a *agent) {
			a.inactive = false
			m.offers.offerSoon(a)
		})
	}
	return answer{status: http.StatusNotImplemented, text: "Not implemented: " + c.Type.String()}
}

func (m *Master) onAgent(id string, do func(*agent)) answer {
	a := m.registry.agents[id]
	if a == nil {
		return answer{status: http.StatusNotFound, text: "Agent not found"}
	}
	do(a)
	m.registry.save()
	return answer{status: http.StatusOK}
}

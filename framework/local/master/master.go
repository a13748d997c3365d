package master

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"
	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/local"
	"tombolo/internal/wake"
)

// Version is what the master says it is: the API that it speaks.
const Version = "1.12.0"

const (
	defaultHeartbeat    = 15 * time.Second
	defaultAgentTimeout = 75 * time.Second
	defaultMasterAddr   = "127.0.0.1:5050"
	defaultAllocation   = 100 * time.Millisecond
)

// Master answers schedulers and directs agents. Run's goroutine owns every field
// below inbox; HTTP handlers and agents send it functions to run.
//
//	HTTP handler ──do──▶ ┌────────┐ ──local.ToAgent──▶ agent
//	             ◀─event─│ master │ ◀──local.ToMaster── agent
//	  (stream)           └────────┘ ◀──timers
type Master struct {
	config  Config
	log     *slog.Logger
	info    mesos.MasterInfo
	mux     *http.ServeMux
	inbox   *wake.Queue[func()]
	stopped chan struct{} // closed when Run has ended

	timers     timers
	frameworks map[string]*framework
	removed    map[string]bool // ids of frameworks that are gone
	agents     map[string]*agent
	ports      map[local.Agent]*agent
	gone       map[string]bool // ids of agents that left for good; true: by an operator's word
	offers     map[string]*offer
	dirty      map[*agent]bool // have resources to offer in the next batch
	batch      *timer
	nextOffer  int
	nextName   int // of frameworks and agents
}

// New reads what an earlier master left in config.Dir. It starts nothing.
func New(config Config, log *slog.Logger) (*Master, error) {
	config = config.withDefaults()
	info, err := masterInfo(config.MasterAddr)
	if err != nil {
		return nil, err
	}
	m := &Master{
		config:     config,
		log:        log,
		info:       info,
		inbox:      wake.NewQueue[func()](),
		stopped:    make(chan struct{}),
		frameworks: map[string]*framework{},
		removed:    map[string]bool{},
		agents:     map[string]*agent{},
		ports:      map[local.Agent]*agent{},
		gone:       map[string]bool{},
		offers:     map[string]*offer{},
		dirty:      map[*agent]bool{},
	}
	m.mux = m.routes()
	return m, m.restore()
}

// masterInfo describes a master with a new id: like a real one's, it is another
// after every start, so that ids made of it never repeat.
func masterInfo(addr string) (mesos.MasterInfo, error) {
	host, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return mesos.MasterInfo{}, fmt.Errorf("master address: %w", err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return mesos.MasterInfo{}, fmt.Errorf("master address: %w", err)
	}
	n, number := int32(port), uint32(port)
	info := mesos.MasterInfo{
		ID:       uuid.NewString(),
		Port:     &number,
		PID:      new("master@" + addr),
		Hostname: new(host),
		Version:  new(Version),
		Address:  &mesos.Address{Hostname: new(host), IP: new(host), Port: n},
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

// Run owns the master's state until ctx ends.
func (m *Master) Run(ctx context.Context) error {
	defer close(m.stopped)
	for {
		timer := m.timers.next()
		select {
		case <-ctx.Done():
			timer.Stop()
			m.endStreams()
			return nil
		case <-timer.C:
			m.timers.fire(time.Now())
		case <-m.inbox.Ready():
			timer.Stop()
			for _, f := range m.inbox.Take() {
				f()
			}
		}
	}
}

// Send takes a message from an agent.
func (m *Master) Send(from local.Agent, message local.ToMaster) {
	m.inbox.Put(func() { m.fromAgent(from, message) })
}

var errStopped = errors.New("the master has stopped")

// ask runs f on the master's goroutine and waits for what it returns. With an
// error f may still run, later.
func ask[T any](ctx context.Context, m *Master, f func() T) (T, error) {
	result := make(chan T, 1) // nobody may be waiting any more
	m.inbox.Put(func() { result <- f() })
	var none T
	select {
	case r := <-result:
		return r, nil
	case <-ctx.Done():
		return none, ctx.Err()
	case <-m.stopped:
		return none, errStopped
	}
}

func (m *Master) endStreams() {
	for _, f := range m.frameworks {
		if f.stream != nil {
			f.stream.end()
		}
	}
}

package sim

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework"
	"tombolo/framework/frameworktest"
	"tombolo/framework/store"
	"tombolo/framework/store/storetest"
)

// world is a simulated cluster and a framework, which can be ended and started again.
type world struct {
	t       *testing.T
	seed    uint64
	cluster *frameworktest.Cluster
	memory  *storetest.Memory
	hosts   []string
	linkers []string    // hosts whose linkers the framework is told of
	calmed  atomic.Bool // no container fails any more
	witness *witness
	downed  map[string]bool // apps that were removed once

	f      *framework.Framework
	cancel context.CancelFunc
	ended  chan error
	began  time.Time
	trace  []string
}

func newWorld(t *testing.T, seed uint64, random *rand.Rand) *world {
	w := &world{t: t, seed: seed, memory: storetest.NewMemory(), began: time.Now(), downed: map[string]bool{}}
	for i := range 2 + random.IntN(4) {
		w.hosts = append(w.hosts, fmt.Sprintf("h%d", i+1))
	}
	switch random.IntN(4) {
	case 0: // it runs without linkers
	case 1:
		w.linkers = w.hosts[:1]
	default:
		w.linkers = w.hosts
	}
	options := frameworktest.Options{
		Hosts: w.hosts, CPUs: 8, MemBytes: 16 << 30, Seed: seed, Behave: w.behave,
		Stored:    func(id string) bool { return w.memory.Written("tasks/" + id) },
		Exclusive: w.exclusive,
		Killing:   random.IntN(2) == 0, Split: 1 + random.IntN(3),
	}
	disturb(&options, random)
	w.cluster = frameworktest.New(options)
	w.witness = &witness{w: w, strict: options.Loss == 0 && options.Late == 0}
	return w
}

// disturb chooses which kinds of disturbance of messages a scenario has.
func disturb(o *frameworktest.Options, random *rand.Rand) {
	often := func(probability float64) float64 {
		if random.IntN(2) == 0 {
			return 0
		}
		return probability
	}
	o.Loss, o.Repeat, o.Rescind, o.Gaps = often(0.05), often(0.3), often(0.2), often(0.05)
	o.Late = time.Duration(often(float64(2 * time.Second)))
	o.Slow = time.Duration(often(float64(3 * time.Second)))
}

// behave returns what a task does, which only the seed and its name decide. Calm containers do
// not fail.
func (w *world) behave(info mesos.TaskInfo) frameworktest.Behaviour {
	h := fnv.New64a()
	h.Write([]byte(info.TaskID.Value))
	random := rand.New(rand.NewPCG(w.seed, h.Sum64()))
	b := frameworktest.Behaviour{
		Start: time.Duration(random.IntN(2000)) * time.Millisecond,
		Stop:  time.Duration(random.IntN(1500)) * time.Millisecond,
	}
	if random.IntN(2) == 0 {
		b.Healthy = time.Duration(1+random.IntN(3000)) * time.Millisecond
	}
	if random.IntN(12) == 0 {
		b.Start = time.Duration(random.IntN(90)) * time.Second
	}
	if random.IntN(12) == 0 {
		b.Stop = time.Duration(random.IntN(40)) * time.Second
	}
	if strings.Contains(info.GetName(), ".job.") {
		b.Run = time.Second
	}
	if w.calmed.Load() {
		return b
	}
	switch random.IntN(30) {
	case 0:
		b.Drop = "no space left on device"
	case 1:
		b.Pull = "connection refused"
	case 2:
		b.Unhealthy = b.Healthy + time.Duration(random.IntN(60))*time.Second
	case 3, 4:
		b.Run, b.Exit = time.Duration(1+random.IntN(90))*time.Second, 1
	}
	return b
}

// exclusive reports whether no other task may start in a slot while a lost one may live. A user
// who removes an app takes back what it said about its lost tasks.
func (w *world) exclusive(info mesos.TaskInfo) bool {
	name, rest, _ := strings.Cut(info.TaskID.Value, ".")
	return strings.HasPrefix(rest, "solo.") && !w.downed[name]
}

// start starts a framework.
func (w *world) start() {
	client := w.cluster.Client()
	linkers := map[string]framework.Linker{}
	for _, name := range w.linkers {
		l := w.cluster.Linker(name)
		linkers[name] = framework.Linker{Catalog: l, Recorder: l, Logs: l, Engine: l}
	}
	w.witness.begin(client)
	f := framework.New(framework.Config{Master: w.witness, Store: store.New(w.memory), Linkers: linkers, Log: w.log()})
	client.Disconnected = func(err error) {
		w.witness.forget()
		f.Disconnected(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.f, w.cancel, w.ended = f, cancel, make(chan error, 1)
	go func(ended chan<- error) { ended <- f.Run(ctx) }(w.ended)
}

// stop ends the framework.
func (w *world) stop() {
	w.cancel()
	if err := <-w.ended; err != nil && !errors.Is(err, storetest.ErrCrash) {
		w.t.Errorf("Run returned %v, want nil or a crash of the store", err)
	}
	w.witness.forget()
}

func (w *world) log() *slog.Logger {
	if os.Getenv("TOMBOLO_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// say notes what happens, for those who read the output of a seed that failed.
func (w *world) say(what string) {
	if what == "" {
		return
	}
	line := fmt.Sprintf("%12v  %s", time.Since(w.began).Round(time.Millisecond), what)
	w.trace = append(w.trace, line)
	w.t.Log(line)
}

func (w *world) violations() []string { return append(w.cluster.Violations(), w.witness.found()...) }

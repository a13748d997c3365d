package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	mesoslib "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/resources"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"tombolo/framework/mesos"
	"tombolo/framework/mesos/wire"
)

const (
	mesosRounds = 9
	mesosEvents = 60  // in a round
	mesosOffers = 100 // in an event
	mesosCalls  = 300 // in a round
	mesosTasks  = 10  // in a call
)

// dialect is one form of messages, and its samples.
type dialect struct {
	form  wire.Codec
	bytes float64   // of an event
	rate  []float64 // offers that the client has read, a second
	calls []float64 // that the client has made, a second
}

// benchMesos measures the client of the scheduler API with each form of messages, against a server
// in the same process: that one writes events that were encoded before, and drops the calls.
func benchMesos(ctx context.Context, _ *bed, out io.Writer) ([]goal, error) {
	dialects := []*dialect{{form: wire.JSON}, {form: wire.Protobuf}}
	for round := range mesosRounds {
		for i := range dialects {
			if err := dialects[(i+round)%2].measure(ctx); err != nil {
				return nil, err
			}
		}
	}
	json, protobuf := dialects[0], dialects[1]
	title := fmt.Sprintf("Scheduler API over HTTP (%d interleaved rounds: %d events of %d offers, %d ACCEPT calls of %d tasks; median [quartiles]; ratios paired by round)",
		mesosRounds, mesosEvents, mesosOffers, mesosCalls, mesosTasks)
	table(out, title, func(w io.Writer) {
		fmt.Fprintln(w, "FORM\tBYTES/OFFER\tOFFERS/S\tx JSON\tCALLS/S\tx JSON")
		for _, d := range dialects {
			fmt.Fprintf(w, "%s\t%.0f\t%s\t%s\t%s\t%s\n", d.form.MediaType(), d.bytes/mesosOffers,
				figure(d.rate, ""), against(d.rate, json.rate), figure(d.calls, ""), against(d.calls, json.calls))
		}
	})
	return []goal{{figure: "offers by protobuf, beside JSON", unit: "x", got: ratio(protobuf.rate, json.rate).Median, bound: 1, atLeast: true}}, nil
}

// measure has a client subscribe in this form, read all events and make all calls.
func (d *dialect) measure(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	master, err := d.newMaster()
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := http.Server{Handler: master}
	go server.Serve(listener)
	defer server.Close()
	client := mesos.New(mesos.Config{
		Masters: []string{listener.Addr().String()}, Framework: mesoslib.FrameworkInfo{User: "root", Name: "bench"}, Log: slog.New(slog.DiscardHandler),
	})
	read := make(chan time.Time, mesosEvents+1)
	ended := make(chan error, 1)
	go func() {
		ended <- client.Run(ctx, func(uint64, scheduler.Event) { read <- time.Now() })
	}()
	began, err := receive(read, 1)
	if err == nil {
		var last time.Time
		last, err = receive(read, mesosEvents)
		d.rate = append(d.rate, mesosEvents*mesosOffers/last.Sub(began).Seconds())
	}
	if err == nil {
		err = d.makeCalls(ctx, client)
	}
	cancel()
	return errors.Join(err, <-ended)
}

// receive returns when the n-th next event was read.
func receive(read <-chan time.Time, n int) (at time.Time, err error) {
	timeout := time.After(time.Minute)
	for range n {
		select {
		case at = <-read:
		case <-timeout:
			return at, errors.New("the client has not read all events within a minute")
		}
	}
	return at, nil
}

func (d *dialect) makeCalls(ctx context.Context, client *mesos.Client) error {
	tasks := make([]mesoslib.TaskInfo, mesosTasks)
	for i := range tasks {
		id := fmt.Sprint("task", i)
		tasks[i] = mesoslib.TaskInfo{Name: id, TaskID: mesoslib.TaskID{Value: id}, AgentID: mesoslib.AgentID{Value: "agent"}, Resources: benchResources(1, 64)}
	}
	call := calls.Accept(calls.OfferOperations{calls.OpLaunch(tasks...)}.WithOffers(mesoslib.OfferID{Value: "offer"}))
	began := time.Now()
	for range mesosCalls {
		if err := client.Call(ctx, 1, call); err != nil {
			return err
		}
	}
	d.calls = append(d.calls, mesosCalls/time.Since(began).Seconds())
	return nil
}

// newMaster returns a master that takes the calls of one form, and answers SUBSCRIBE with all events.
func (d *dialect) newMaster() (http.Handler, error) {
	events := make([]byte, 0, 1<<20)
	for _, event := range []*scheduler.Event{
		{Type: scheduler.Event_SUBSCRIBED, Subscribed: &scheduler.Event_Subscribed{FrameworkID: &mesoslib.FrameworkID{Value: "bench"}}},
		{Type: scheduler.Event_OFFERS, Offers: &scheduler.Event_Offers{Offers: benchOffers()}},
	} {
		body, err := d.form.Encode(event)
		if err != nil {
			return nil, err
		}
		copies := 1
		if event.Offers != nil {
			copies = mesosEvents
			d.bytes = float64(len(body))
		}
		for range copies {
			events = wire.AppendRecord(events, body)
		}
	}
	subscribed := false
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // what was not read fails at the client
		switch {
		case r.Header.Get("Content-Type") != d.form.MediaType():
			w.WriteHeader(http.StatusUnsupportedMediaType)
		case subscribed: // the client's calls come one after the other
			w.WriteHeader(http.StatusAccepted)
		default:
			subscribed = true
			w.Header().Set("Content-Type", d.form.MediaType())
			_, _ = w.Write(events)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	}), nil
}

// benchOffers are offers of agents with some attributes and two ranges of ports.
func benchOffers() []mesoslib.Offer {
	offers := make([]mesoslib.Offer, mesosOffers)
	for i := range offers {
		host := fmt.Sprintf("node%d.example.org", i)
		offers[i] = mesoslib.Offer{
			ID: mesoslib.OfferID{Value: fmt.Sprintf("9b1c2f6e-5a0b-4c0e-8f6c-0d9a6a7d1c11-O%d", i)}, FrameworkID: mesoslib.FrameworkID{Value: "bench"},
			AgentID: mesoslib.AgentID{Value: fmt.Sprintf("9b1c2f6e-5a0b-4c0e-8f6c-0d9a6a7d1c11-S%d", i)}, Hostname: host,
			Resources: benchResources(16, 65536),
			Attributes: []mesoslib.Attribute{
				{Name: "rack", Type: mesoslib.TEXT, Text: &mesoslib.Value_Text{Value: fmt.Sprint("r", i%10)}},
				{Name: "os", Type: mesoslib.TEXT, Text: &mesoslib.Value_Text{Value: "debian-12"}},
			},
		}
	}
	return offers
}

func benchResources(cpus, mem float64) []mesoslib.Resource {
	return []mesoslib.Resource{resources.NewCPUs(cpus).Resource, resources.NewMemory(mem).Resource,
		resources.Build().Name(resources.NamePorts).Ranges(resources.BuildRanges().Span(31000, 32000).Ranges).Resource}
}

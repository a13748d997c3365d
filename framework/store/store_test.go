package store_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tombolo/framework/app"
	"tombolo/framework/store"
	"tombolo/framework/store/storetest"
)

var when = time.Date(2026, 11, 23, 13, 20, 0, 0, time.UTC)

// backends returns a function for each kind of backend that opens it, again and again on
// the same data.
func backends(t *testing.T) map[string]func() store.Backend {
	path := filepath.Join(t.TempDir(), "framework.db")
	memory := storetest.NewMemory()
	return map[string]func() store.Backend{
		"bolt": func() store.Backend {
			b, err := store.OpenBolt(path)
			if err != nil {
				t.Fatal(err)
			}
			return b
		},
		"memory": func() store.Backend { return memory },
	}
}

func fill(b *store.Batch) *store.State {
	want := &store.State{
		FrameworkID: "F1", Epoch: 7, Revision: 3, Floors: map[string]uint64{"shop": 9},
		Apps: map[string]store.App{"shop": {
			Wanted:   app.App{Name: "shop", Services: map[string]app.Service{"db": {Name: "db", Image: "postgres"}}},
			Revision: 3, Put: when, Removing: true,
		}},
		Tasks: map[string]store.Task{"shop.db.1.g2": {
			ID: "shop.db.1.g2", App: "shop", Service: "db", Slot: 1, Generation: 2, Agent: "S1", Host: "h1",
			Phase: "running", Ports: []app.Port{{Host: 80, Target: 80, Proto: "tcp"}}, Since: when,
		}},
		Slots: map[store.SlotKey]store.Slot{{App: "shop", Service: "db", Slot: 1}: {
			App: "shop", Service: "db", Slot: 1, Generation: 2, Restarts: 1, Log: []string{"bye"}, Ended: when,
		}},
		Pins: map[string]string{"shop_data": "h1"},
	}
	b.SetFrameworkID(want.FrameworkID)
	b.SetEpoch(want.Epoch)
	b.SetRevision(want.Revision)
	b.PutFloor("shop", want.Floors["shop"])
	b.PutApp(want.Apps["shop"])
	b.PutTask(want.Tasks["shop.db.1.g2"])
	b.PutSlot(want.Slots[store.SlotKey{App: "shop", Service: "db", Slot: 1}])
	b.PutPin("shop_data", "h1")
	return want
}

func load(t *testing.T, s *store.Store) *store.State {
	t.Helper()
	state, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func commit(t *testing.T, s *store.Store, b *store.Batch) {
	t.Helper()
	if err := s.Commit(b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&store.Batch{}, b, cmp.AllowUnexported(store.Batch{})); diff != "" {
		t.Errorf("the batch is not empty after its commit (-want +got):\n%s", diff)
	}
}

func TestStateSurvivesReopening(t *testing.T) {
	for name, open := range backends(t) {
		t.Run(name, func(t *testing.T) {
			s := store.New(open())
			var b store.Batch
			commit(t, s, &b) // an empty batch does nothing
			want := fill(&b)
			commit(t, s, &b)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = store.New(open())
			if diff := cmp.Diff(want, load(t, s)); diff != "" {
				t.Errorf("state after reopening (-want +got):\n%s", diff)
			}
			b.DeleteApp("shop")
			b.DeleteTask("shop.db.1.g2")
			b.DeleteSlot(store.SlotKey{App: "shop", Service: "db", Slot: 1})
			b.DeletePin("shop_data")
			commit(t, s, &b)
			empty := &store.State{
				FrameworkID: "F1", Epoch: 7, Revision: 3, Floors: map[string]uint64{"shop": 9}, Apps: map[string]store.App{},
				Tasks: map[string]store.Task{}, Slots: map[store.SlotKey]store.Slot{}, Pins: map[string]string{},
			}
			if diff := cmp.Diff(empty, load(t, s)); diff != "" {
				t.Errorf("state after all is deleted (-want +got):\n%s", diff)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestTheLastWriteOfABatchWins(t *testing.T) {
	s := store.New(storetest.NewMemory())
	var b store.Batch
	b.PutPin("v", "h1")
	b.DeletePin("v")
	b.PutPin("v", "h2")
	commit(t, s, &b)
	if got := load(t, s).Pins["v"]; got != "h2" {
		t.Errorf("the volume is on %q, want h2", got)
	}
}

func TestACrashKeepsABatchWholeOrNotAtAll(t *testing.T) {
	for _, lose := range []bool{true, false} {
		memory := storetest.NewMemory()
		s := store.New(memory)
		memory.CrashAfter(1, lose)
		var b store.Batch
		fill(&b)
		if err := s.Commit(&b); !errors.Is(err, storetest.ErrCrash) {
			t.Fatalf("Commit returned %v, want ErrCrash", err)
		}
		if _, err := s.Load(); !errors.Is(err, storetest.ErrCrash) {
			t.Fatalf("Load after the crash returned %v, want ErrCrash", err)
		}
		memory.Reopen()
		if kept := load(t, s).FrameworkID == "F1"; kept == lose {
			t.Errorf("a crash with lose=%v: the batch was kept: %v", lose, kept)
		}
	}
}

// TestKilled kills a process that commits one batch after another. Every batch that it
// reported as durable must be there, and no half of one.
func TestKilled(t *testing.T) {
	if path := os.Getenv("TOMBOLO_STORE_CHILD"); path != "" {
		commitForEver(t, path)
	}
	path := filepath.Join(t.TempDir(), "framework.db")
	for round := range 5 {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilled$")
		child.Env = append(os.Environ(), "TOMBOLO_STORE_CHILD="+path)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		said := uint64(0)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if _, err := fmt.Sscan(lines.Text(), &said); err != nil {
				t.Fatal(err)
			}
			if said%20 == uint64(round+10) {
				_ = child.Process.Kill() // its output until then is still read
			}
		}
		_ = child.Wait() // killed
		backend, err := store.OpenBolt(path)
		if err != nil {
			t.Fatal(err)
		}
		s := store.New(backend)
		state := load(t, s)
		if state.Revision < said || uint64(len(state.Pins)) != state.Revision {
			t.Errorf("the process reported revision %d as durable; revision %d with %d pins is stored, want at least that, with as many pins", said, state.Revision, len(state.Pins))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// commitForEver continues after the last batch of the process that was killed.
func commitForEver(t *testing.T, path string) {
	backend, err := store.OpenBolt(path)
	if err != nil {
		t.Fatal(err)
	}
	s := store.New(backend)
	for revision := load(t, s).Revision + 1; ; revision++ {
		var b store.Batch
		b.SetRevision(revision)
		b.PutPin(fmt.Sprint("v", revision), "h1")
		commit(t, s, &b)
		fmt.Println(revision)
	}
}

func TestSecondOpenIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "framework.db")
	first, err := store.OpenBolt(path)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if second, err := store.OpenBolt(path); err == nil {
		second.Close()
		t.Error("a second process could open the store, want it locked")
	}
}

func TestAKeyOfANewerVersionIsRefused(t *testing.T) {
	memory := storetest.NewMemory()
	if err := memory.Apply(map[string][]byte{"novel/x": []byte("1")}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.New(memory).Load(); err == nil {
		t.Error("a store with an unknown kind of key was loaded, want an error")
	}
}

// The JSON names of stored data must not change, so that a newer version reads it.
func TestStoredDataOfEarlierVersionsIsRead(t *testing.T) {
	memory := storetest.NewMemory()
	err := memory.Apply(map[string][]byte{
		"framework": []byte(`"F1"`), "epoch": []byte(`7`), "revision": []byte(`3`), "floors/shop": []byte(`9`), "pins/shop_data": []byte(`"h1"`),
		"apps/shop":       []byte(`{"app":{"name":"shop"},"revision":3,"put":"2026-11-23T13:20:00Z","removing":true,"volumes":true}`),
		"tasks/db":        []byte(`{"id":"db","app":"shop","service":"db","slot":1,"generation":2,"spec":"d","agent":"S1","host":"h1","phase":"running","since":"2026-11-23T13:20:00Z","killing":true,"sick":"2026-11-23T13:20:00Z"}`),
		"slots/shop/db/1": []byte(`{"app":"shop","service":"db","slot":1,"generation":2,"restarts":1,"ended":"2026-11-23T13:20:00Z","outcome":"failed","exit_code":3,"fatal":true}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := &store.State{
		FrameworkID: "F1", Epoch: 7, Revision: 3, Floors: map[string]uint64{"shop": 9}, Pins: map[string]string{"shop_data": "h1"},
		Apps: map[string]store.App{"shop": {Wanted: app.App{Name: "shop"}, Revision: 3, Put: when, Removing: true, ForgetVolumes: true}},
		Tasks: map[string]store.Task{"db": {
			ID: "db", App: "shop", Service: "db", Slot: 1, Generation: 2, Spec: "d", Agent: "S1", Host: "h1",
			Phase: "running", Since: when, Killing: true, KilledUnhealthySince: when,
		}},
		Slots: map[store.SlotKey]store.Slot{{App: "shop", Service: "db", Slot: 1}: {
			App: "shop", Service: "db", Slot: 1, Generation: 2, Restarts: 1, Ended: when, Outcome: "failed", ExitCode: 3, Fatal: true,
		}},
	}
	if diff := cmp.Diff(want, load(t, store.New(memory))); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
}

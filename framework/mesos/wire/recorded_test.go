package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"reflect"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/mesos/mesostest"
	"tombolo/framework/mesos/wire"
)

// TestRecordedEvents decodes every recorded event and encodes it again. Nothing may be lost
// but fields and values that mesos-go v0.0.11 does not have.
func TestRecordedEvents(t *testing.T) {
	count, lost := 0, map[string]int{}
	eachStream(t, func(name string, e *mesostest.Exchange) {
		for i, body := range records(t, name, e.Response.Body) {
			count++
			var event scheduler.Event
			if err := wire.Unmarshal(body, &event); err != nil {
				t.Errorf("%s: event %d: %v", name, i, err)
				continue
			}
			again, err := wire.Marshal(&event)
			if err != nil {
				t.Errorf("%s: event %d: %v", name, i, err)
			}
			if !bytes.Equal(body, again) {
				dropped(t, tree(t, body), tree(t, again), "", lost)
			}
		}
	})
	want := map[string]int{
		`subscribed.master_info.capabilities[].type "QUOTA_V2"`: 42,
	}
	if diff := cmp.Diff(want, lost); diff != "" {
		t.Errorf("fields that %d events lost (-want +got):\n%s", count, diff)
	}
	if count < 700 {
		t.Errorf("only %d events were found, want at least 700: are recordings missing?", count)
	}
}

// TestRecordedCalls decodes every call that a real master has taken and encodes it again
// with the same meaning.
func TestRecordedCalls(t *testing.T) {
	count, lost := 0, map[string]int{}
	for _, r := range mesostest.Recordings(t) {
		for i := range r.Exchanges {
			e := &r.Exchanges[i]
			if !e.Scheduler() || e.Response.Status/100 != 2 {
				continue
			}
			count++
			var call scheduler.Call
			if err := wire.Unmarshal(e.Body, &call); err != nil {
				t.Errorf("%s/%s: %v", r.Name, e.Name, err)
				continue
			}
			again, err := wire.Marshal(&call)
			if err != nil {
				t.Errorf("%s/%s: %v", r.Name, e.Name, err)
			}
			dropped(t, tree(t, e.Body), tree(t, again), "", lost)
		}
	}
	want := map[string]int{
		// mesos-go does not know these, and Mesos only the last one.
		"nosuch 1": 1,
		`accept.operations[].launch.task_infos[].nosuchfield {"a":1}`: 1,
		"subscribe.force true": 1,
		// Unknown values of optional enums are ignored, as a real master does.
		`accept.operations[].launch.task_infos[].container.docker.network "BOGUS"`: 1,
		`accept.operations[].type "NOSUCH"`:                                        1,
		`subscribe.framework_info.capabilities[].type "NOSUCH"`:                    1,
		// Empty lists are not written.
		"accept.operations []":                                 1,
		"accept.operations[].launch.task_infos[].resources []": 1,
		"reconcile.tasks []":                                   9,
		"subscribe.framework_info.capabilities []":             1,
		"subscribe.framework_info.roles []":                    1,
	}
	if diff := cmp.Diff(want, lost); diff != "" {
		t.Errorf("fields that %d calls lost (-want +got):\n%s", count, diff)
	}
	if count < 500 {
		t.Errorf("only %d calls were found, want at least 500: are recordings missing?", count)
	}
}

// TestRecordedRefusals compares the errors of Unmarshal with those of a real master.
func TestRecordedRefusals(t *testing.T) {
	count := 0
	for _, r := range mesostest.Recordings(t) {
		for _, e := range r.Exchanges {
			text := string(e.Response.Body)
			if e.Response.Status != 400 || !e.Scheduler() {
				continue
			}
			detail, syntax := strings.CutPrefix(text, "Failed to parse body into JSON: ")
			if !syntax {
				var schema bool
				if detail, schema = strings.CutPrefix(text, "Failed to convert JSON into Call protobuf: "); !schema {
					continue
				}
			}
			count++
			err := wire.Unmarshal(e.Body, new(scheduler.Call))
			var asSyntax *wire.SyntaxError
			if err == nil || err.Error() != detail || errors.As(err, &asSyntax) != syntax {
				t.Errorf("%s/%s: Unmarshal returned %v, want %s", r.Name, e.Name, err, detail)
			}
		}
	}
	if count < 12 {
		t.Errorf("only %d refusals were found, want at least 12: are recordings missing?", count)
	}
}

func eachStream(t *testing.T, visit func(name string, e *mesostest.Exchange)) {
	t.Helper()
	for _, r := range mesostest.Recordings(t) {
		for i := range r.Exchanges {
			e := &r.Exchanges[i]
			if e.Streamed() && e.Header.Get("Accept") != "application/x-protobuf" && json.Valid(firstRecord(e)) {
				visit(r.Name+"/"+e.Name, e)
			}
		}
	}
}

func firstRecord(e *mesostest.Exchange) []byte {
	first, _ := wire.NewReader(bytes.NewReader(e.Response.Body), math.MaxInt32).Next()
	return first
}

func records(t testing.TB, name string, body []byte) [][]byte {
	t.Helper()
	var all [][]byte
	r := wire.NewReader(bytes.NewReader(body), wire.MaxRecord)
	for {
		record, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%s: record %d: %v", name, len(all), err)
		}
		all = append(all, record)
	}
}

func tree(t *testing.T, b []byte) any {
	t.Helper()
	var x any
	if err := json.Unmarshal(b, &x); err != nil {
		t.Fatal(err)
	}
	return x
}

// dropped counts in lost the leaves of want that got does not have, by path. It fails the
// test for other differences.
func dropped(t *testing.T, want, got any, path string, lost map[string]int) {
	t.Helper()
	wantObject, ok1 := want.(map[string]any)
	gotObject, ok2 := got.(map[string]any)
	wantList, ok3 := want.([]any)
	gotList, ok4 := got.([]any)
	switch {
	case ok1 && ok2:
		droppedFields(t, wantObject, gotObject, path, lost)
	case ok3 && ok4 && len(wantList) == len(gotList):
		for i := range wantList {
			dropped(t, wantList[i], gotList[i], path+"[]", lost)
		}
	case !reflect.DeepEqual(want, got):
		t.Errorf("%s is %v, want %v", path, got, want)
	}
}

func droppedFields(t *testing.T, want, got map[string]any, path string, lost map[string]int) {
	t.Helper()
	var keys []string
	for k := range want {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		at := strings.TrimPrefix(path+"."+k, ".")
		if _, ok := got[k]; ok {
			dropped(t, want[k], got[k], at, lost)
			continue
		}
		text, _ := json.Marshal(want[k])
		lost[at+" "+string(text)]++
	}
	for k := range got {
		if _, ok := want[k]; !ok {
			t.Errorf("%s.%s is %v, want no such field", path, k, got[k])
		}
	}
}

package wire_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/mesos/mesostest"
	"tombolo/framework/mesos/wire"
)

func TestUnmarshalRefusesAsMesosDoes(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"empty", ``, "syntax error at line 1 near: "},
		{"second line", "{\n\"type\": x}", "syntax error at line 2 near: x}"},
		{"trailing", `{} {}`, "syntax error at line 1 near:  {}"},
		{"not an object", `[]`, "Expecting a JSON object"},
		{"string for message", `{"kill":"x"}`, "Not expecting a JSON string for field 'kill'"},
		{"list for scalar", `{"kill":{"task_id":[]}}`, "Not expecting a JSON array for field 'task_id'"},
		{"negative unsigned", `{"accept":{"operations":[{"launch":{"task_infos":[{"discovery":{"ports":{"ports":[{"number":-1}]}}}]}}]}}`, "Number out of range for field 'number'"},
		{"required enum", `{"accept":{"operations":[{"launch":{"task_infos":[{"container":{"type":"X"}}]}}]}}`, "Failed to find enum for 'X'"},
		{"in a map", `{"accept":{"operations":[{"launch":{"task_infos":[{"name":"a","task_id":{"value":"a"},"agent_id":{"value":"a"},"limits":{"cpus":{}}}]}}]}}`,
			"Missing required fields: accept.operations[0].launch.task_infos[0].limits.cpus.value"},
		{"two missing", `{"acknowledge":{}}`, "Missing required fields: acknowledge.agent_id, acknowledge.task_id, acknowledge.uuid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := wire.Unmarshal([]byte(c.body), new(scheduler.Call))
			if err == nil || err.Error() != c.want {
				t.Errorf("Unmarshal returned %v, want %s", err, c.want)
			}
		})
	}
}

func TestUnmarshalIgnoresWhatItDoesNotKnow(t *testing.T) {
	const body = `{"type":"REVIVE","revive":{"roles":"one"},"kill":null,"extra":{"a":[1]}}`
	want := scheduler.Call{Type: scheduler.Call_REVIVE, Revive: &scheduler.Call_Revive{Roles: []string{"one"}}}
	var got scheduler.Call
	if err := wire.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("call (-want +got):\n%s", diff)
	}
}

func TestRecordsOfAStream(t *testing.T) {
	for _, c := range []struct {
		name, stream string
		want         []string
		err          error
	}{
		{"none", "", nil, io.EOF},
		{"two", "1\na2\nbc", []string{"a", "bc"}, io.EOF},
		{"empty record", "0\n1\nx", []string{"", "x"}, io.EOF},
		{"cut in a length", "1\na2", []string{"a"}, io.ErrUnexpectedEOF},
		{"cut in a record", "1\na5\nbc", []string{"a"}, io.ErrUnexpectedEOF},
		{"no length", "\nabc", nil, wire.ErrFraming},
		{"negative", "-1\n", nil, wire.ErrFraming},
		{"too long", "11\nhello world", nil, wire.ErrFraming},
		{"endless length", strings.Repeat("0", 30) + "\n", nil, wire.ErrFraming},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := wire.NewReader(strings.NewReader(c.stream), 10)
			var got []string
			for {
				record, err := r.Next()
				if err != nil {
					if !errors.Is(err, c.err) {
						t.Errorf("the stream ended with %v, want %v", err, c.err)
					}
					break
				}
				got = append(got, string(record))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("3\nabc0\n2\nxy"))
	f.Add([]byte("99999999999999999999\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := wire.NewReader(bytes.NewReader(stream), 1000)
		var again []byte
		for {
			record, err := r.Next()
			if err != nil {
				break
			}
			if len(record) > 1000 {
				t.Fatalf("a record has %d bytes, the limit is 1000", len(record))
			}
			again = wire.AppendRecord(again, record)
		}
		if len(again) > len(stream) {
			t.Fatalf("the records of a stream of %d bytes have %d bytes", len(stream), len(again))
		}
	})
}

// FuzzEvent checks that an event that can be decoded survives another encoding.
func FuzzEvent(f *testing.F) {
	f.Add([]byte(`{"type":"OFFERS","offers":{"offers":[{"id":{"value":"O"}}]}}`))
	f.Add([]byte(`{"type":"FAILURE","failure":{"status":1e3}}`))
	for _, r := range mesostest.Recordings(f)[:1] {
		for i := range r.Exchanges {
			reader := wire.NewReader(bytes.NewReader(r.Exchanges[i].Response.Body), wire.MaxRecord)
			for record, err := reader.Next(); err == nil; record, err = reader.Next() {
				f.Add(record)
			}
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var event, again scheduler.Event
		if wire.Unmarshal(body, &event) != nil {
			return
		}
		first, err := wire.Marshal(&event)
		if err != nil {
			t.Fatal(err)
		}
		if err := wire.Unmarshal(first, &again); err != nil {
			t.Fatalf("an encoded event cannot be decoded: %v\n%s", err, first)
		}
		second, err := wire.Marshal(&again)
		if err != nil || !bytes.Equal(first, second) {
			t.Fatalf("an event changed when it was encoded again (error %v):\n%s\n%s", err, first, second)
		}
	})
}

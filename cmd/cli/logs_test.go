package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tombolo/cmd/errortest"
	"tombolo/framework/api"
)

func TestLogsPrintsTheLinesOfServices(t *testing.T) {
	f := &fakeFramework{lines: []api.LogLine{
		{Service: "web", Slot: 1, Line: "hello"}, {Service: "db", Slot: 1, Line: "world", Time: time.Unix(0, 0)},
	}}
	socket := f.serve(t)
	if _, err := tombolo(t, socket, shop, "up", "-d"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, out, err string }{
		{"logs", "web.1  | hello\ndb.1   | world\n", ""},
		{"logs web", "web.1  | hello\n", ""},
		{"logs web db", "web.1  | hello\ndb.1   | world\n", ""},
		{"logs --no-log-prefix -n 5 db", "world\n", ""},
		{"logs -t db", "db.1   | " + time.Unix(0, 0).Format(time.RFC3339Nano) + " world\n", ""},
		{"logs nosuch", "", `shop has no service "nosuch"`},
		{"logs --tail some", "", "neither a number nor all"},
	} {
		out, err := tombolo(t, socket, shop, strings.Fields(c.args)...)
		errortest.Contains(t, err, c.err)
		if diff := cmp.Diff(c.out, out); c.err == "" && diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.args, diff)
		}
	}
}

package lab

import "testing"

func TestWhoHoldsTheRunFolder(t *testing.T) {
	const control = 7
	for _, c := range []struct {
		name, text string
		alive      bool
		want       string
	}{
		{"nobody", "", false, ""},
		{"the lab's own", "7\ncluster\n/s\n/c\n", true, ""},
		{"a dead one's", "8\nmachine\n/s\n\n", false, ""},
		{"a daemon", "8\nmachine\n/s\n\n", true, "a tombolo daemon runs here (process 8) and serves /run/tombolo/api.sock, as a lab would (first: tombolo daemon stop)"},
		{"one that has not said who it is", "", true, "a tombolo daemon runs here (process 0) and serves /run/tombolo/api.sock, as a lab would (first: tombolo daemon stop)"},
		{"a framework", "8\nframework\n/s\n\n", true, "a cluster's framework runs here (process 8) and serves /run/tombolo/api.sock, as a lab would (first: systemctl stop tombolo-framework)"},
	} {
		err := parseHolder(c.text, c.alive).refuse(control)
		if got := errorText(err); got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

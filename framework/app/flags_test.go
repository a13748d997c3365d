package app

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFlagsLeaveOutZeroValues(t *testing.T) {
	var f Flags
	f.Text("user", "")
	f.Bool("init", false)
	f.Int("cpu-shares", 0)
	f.List("dns", nil)
	f.Pairs("sysctl", nil)
	if len(f.Sorted()) > 0 {
		t.Errorf("zero values add the flags %v", f)
	}
}

func TestFlagsAreSortedAndQuoted(t *testing.T) {
	var f Flags
	f.Pairs("sysctl", map[string]string{"b": "2", "a": "1"})
	f.List("dns", []string{"192.0.2.2", "192.0.2.1", "192.0.2.2"})
	f.CSV("mount", []string{"type=bind", "source=/a,b", `target=/"c"`})
	f.Bool("init", true)
	f.Int("cpu-shares", -1)
	want := []Flag{
		{"cpu-shares", "-1"}, {"dns", "192.0.2.1"}, {"dns", "192.0.2.2"}, {"init", "true"},
		{"mount", `type=bind,"source=/a,b","target=/""c"""`}, {"sysctl", "a=1"}, {"sysctl", "b=2"},
	}
	if diff := cmp.Diff(want, f.Sorted()); diff != "" {
		t.Errorf("Sorted (-want +got):\n%s", diff)
	}
}

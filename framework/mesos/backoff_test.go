package mesos

import (
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	b := Backoff{Min: 100 * time.Millisecond, Max: time.Second}
	for n, longest := range map[int]time.Duration{
		1: 100 * time.Millisecond, 2: 200 * time.Millisecond, 3: 400 * time.Millisecond,
		4: 800 * time.Millisecond, 5: time.Second, 1000: time.Second,
	} {
		for range 100 {
			if d := b.pause(n); d > longest || d < longest/2 {
				t.Fatalf("after %d failures: %v, not within [%v, %v]", n, d, longest/2, longest)
			}
		}
	}
}

func TestSchedulerURL(t *testing.T) {
	for master, want := range map[string]string{
		"h:5050":                          "http://h:5050/api/v1/scheduler",
		"http://h:5050/":                  "http://h:5050/api/v1/scheduler",
		"https://h/master/api/v1/other":   "https://h/master/api/v1/other",
		"[fd00::1]:5050":                  "http://[fd00::1]:5050/api/v1/scheduler",
		"http://h:5050/api/v1/scheduler/": "http://h:5050/api/v1/scheduler/",
	} {
		if got := schedulerURL(master); got != want {
			t.Errorf("%s: %s, want %s", master, got, want)
		}
	}
}

func TestLocate(t *testing.T) {
	got, err := locate("https://a:1/api/v1/scheduler", "//b:2/master/api/v1/scheduler")
	if err != nil || got != "https://b:2/master/api/v1/scheduler" {
		t.Errorf("%s, %v", got, err)
	}
}

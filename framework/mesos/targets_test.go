package mesos

import "testing"

func TestSchedulerURLCompletesWhatIsLeftOut(t *testing.T) {
	for master, want := range map[string]string{
		"h:5050":                          "http://h:5050/api/v1/scheduler",
		"http://h:5050/":                  "http://h:5050/api/v1/scheduler",
		"https://h/master/api/v1/other":   "https://h/master/api/v1/other",
		"[fd00::1]:5050":                  "http://[fd00::1]:5050/api/v1/scheduler",
		"http://h:5050/api/v1/scheduler/": "http://h:5050/api/v1/scheduler/",
	} {
		if got := schedulerURL(master); got != want {
			t.Errorf("schedulerURL(%q) = %q, want %q", master, got, want)
		}
	}
}

func TestALocationWithoutASchemeIsResolved(t *testing.T) {
	got, err := locate("https://a:1/api/v1/scheduler", "//b:2/master/api/v1/scheduler")
	if want := "https://b:2/master/api/v1/scheduler"; err != nil || got != want {
		t.Errorf("locate returned %q, %v; want %q", got, err, want)
	}
}

package mesos

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
)

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
	request := httptest.NewRequest(http.MethodPost, "https://a:1/api/v1/scheduler", nil)
	response := &http.Response{
		StatusCode: http.StatusTemporaryRedirect, Body: http.NoBody, Request: request,
		Header: http.Header{"Location": {"//b:2/master/api/v1/scheduler"}},
	}
	var status *StatusError
	if err := responseError(response); !errors.As(err, &status) || status.redirect != "https://b:2/master/api/v1/scheduler" {
		t.Errorf("the redirect is the error %v, want one to https://b:2/master/api/v1/scheduler", err)
	}
}

package e2e

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// scraped returns a host's metrics as Prometheus gets them.
func scraped(t *testing.T, host int, port int) string {
	t.Helper()
	const get = `exec 3<>/dev/tcp/127.0.0.1/%d; printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3; cat <&3`
	return inHost(t, testLab.Hosts[host], "bash", "-c", fmt.Sprintf(get, port))
}

var convergence = regexp.MustCompile(`(?m)^tombolo_convergence_seconds_(sum|count) (\S+)$`)

// lags returns how many times a host has measured how long its new containers are unknown to the
// others, and the sum in seconds.
func lags(t *testing.T, host int) (count, sum float64) {
	t.Helper()
	for _, m := range convergence.FindAllStringSubmatch(scraped(t, host, 7982), -1) {
		value, err := strconv.ParseFloat(strings.TrimSpace(m[2]), 64)
		if err != nil {
			t.Fatal(err)
		}
		if m[1] == "count" {
			count = value
		} else {
			sum = value
		}
	}
	return count, sum
}

// The time from a container's start until every other host has its policy is measured.
func TestConvergenceIsMeasured(t *testing.T) {
	count, sum := lags(t, 0)
	time.Sleep(5 * time.Second) // at most one container in this time is measured
	c := start(t, 0, spec{app: "lag", service: "web", args: []string{"serve", "80"}})
	c.reaches(t, "web:80")
	within(t, func(context.Context) error {
		now, seconds := lags(t, 0)
		if now == count {
			return fmt.Errorf("nothing was measured after a container had started")
		}
		took := (seconds - sum) / (now - count)
		t.Logf("the other hosts had its policy after %.3f s", took)
		if took <= 0 || took > 10 {
			return fmt.Errorf("the other hosts had a container's policy after %.3f s", took)
		}
		return nil
	})
}
